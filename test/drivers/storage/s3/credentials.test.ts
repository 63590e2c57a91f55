import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { chooseKeys, readBoto } from "../../../../src/drivers/storage/s3/credentials.ts";
import { removeFolder, temporaryFolder } from "../../../support/program.ts";

describe("the keys of s3", () => {
  let folder = "";
  before(async () => {
    folder = await temporaryFolder("boto");
    await writeFile(
      join(folder, ".boto"),
      "# mine\n[Credentials]\naws_access_key_id = mine\naws_secret_access_key=its = secret \n[Boto]\nhttps_validate_certificates = False\n",
    );
    await writeFile(
      join(folder, "boto.cfg"),
      "[Credentials]\naws_access_key_id: all\ns3_host: ceph.example.com\n  [Boto]\nca_certificates_file = /ca.pem\n",
    );
    await writeFile(
      join(folder, "credentials"),
      "[other]\naws_access_key_id = other\n[default]\naws_access_key_id=aws\naws_secret_access_key=secret\naws_session_token=token\n",
    );
  });
  after(async () => {
    await removeFolder(folder);
  });

  const read = async (...names: readonly string[]) => await readBoto(names.map((name) => join(folder, name)));

  it("come from the flavor before any file", async () => {
    expect(chooseKeys({ accessKey: "a", secretKey: "s" }, await read(".boto"))).to.include({ accessKey: "a" });
  });

  it("come from boto's files, the user's before the machine's", async () => {
    const boto = await read(".boto", "boto.cfg", "missing");
    expect(chooseKeys({}, boto)).to.deep.equal({
      accessKey: "mine",
      secretKey: "its = secret",
      sessionToken: undefined,
    });
    expect(boto["Credentials"]?.["s3_host"]).to.equal("ceph.example.com");
    expect(boto["Boto"]).to.deep.equal({ ca_certificates_file: "/ca.pem", https_validate_certificates: "False" });
  });

  it("come from AWS's own file where boto has none", async () => {
    expect(chooseKeys({}, await read("missing", "credentials"))).to.deep.equal({
      accessKey: "aws",
      secretKey: "secret",
      sessionToken: "token",
    });
  });

  it("are nobody's where no file has them, and never half a pair", async () => {
    expect(chooseKeys({}, await read("boto.cfg"))).to.equal(undefined);
    expect(() => chooseKeys({ accessKey: "a" }, {})).to.throw("s3_access_key is set and s3_secret_key is not");
    expect(() => chooseKeys({ secretKey: "very secret" }, {})).to.throw(
      "s3_secret_key is set and s3_access_key is not",
    );
  });
});
