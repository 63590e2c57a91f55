import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { succeeds } from "../../support/cli.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { RegistryProcess } from "../../support/registry-process.ts";

describe("accounts of a server of two workers", function () {
  this.timeout(300_000);
  let folder: string;
  let users: string;
  let registry: RegistryProcess;
  before(async () => {
    folder = await temporaryFolder();
    users = join(folder, "users");
    await writeFile(users, "");
    registry = await RegistryProcess.start(["workers: 2", `auth: { htpasswd: ${users} }`]);
    await until("the second worker to listen", () => registry.output.split('"msg":"listening').length > 2);
  });
  after(async () => {
    await registry.remove();
    await removeFolder(folder);
  });
  const user = async (...args: readonly string[]): Promise<string> =>
    await succeeds(["user", ...args, "--config", registry.configFile, "--flavor", "e2e"], { input: "anns password\n" });
  /** Connections go to the workers in turn: of two, each gets one. */
  const both = async (name: string, password: string, path = "/v2/_catalog"): Promise<readonly number[]> => {
    const headers = { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` };
    const first = await registry.client().send("GET", path, { headers });
    return [first.status, (await registry.client().send("GET", path, { headers })).status];
  };
  const becomes = async (status: number, name: string, password: string, path?: string): Promise<void> => {
    await until(`${status} for ${name} of each worker`, async () =>
      (await both(name, password, path)).every((each) => each === status),
    );
  };

  it("are made, changed and removed while it runs", async () => {
    expect(await both("ann", "anns password")).to.deep.equal([401, 401]);
    await user("add", "ann", "--password-stdin", "--cost", "10");
    await becomes(200, "ann", "anns password");
    expect(await both("ann", "anns password", "/v1/users/")).to.deep.equal([200, 200]);
    const text = await readFile(users, "utf8");
    await writeFile(users, `${text}nonsense\n`);
    await until("both to tell", async () => {
      expect(await both("ann", "anns password")).to.deep.equal([200, 200]);
      return registry.output.split("line 2 is not of the form name:hash").length > 2;
    });
    await writeFile(users, text.replace(/:.*/, ":!"));
    await becomes(401, "ann", "anns password");
    await user("passwd", "ann", "--password-stdin", "--cost", "10");
    await becomes(200, "ann", "anns password");
    await user("rm", "ann", "--yes");
    await becomes(401, "ann", "anns password");
  });

  it("have API keys, until these are revoked", async () => {
    await user("add", "ann", "--password-stdin", "--cost", "10");
    const key = (await user("token", "ann", "--repository", "team/*")).trim();
    await becomes(200, "ann", key);
    expect(await both("bob", key)).to.deep.equal([401, 401]);
    await user("token", "rm", key.slice(5, 15));
    await becomes(401, "ann", key);
    expect(await both("ann", "anns password")).to.deep.equal([200, 200]);
  });

  it("are slow to those who guess, who are told when to come again", async () => {
    const guesses = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const headers = { Authorization: `Basic ${Buffer.from(`eve:guess ${i}`).toString("base64")}` };
        return await registry.client().send("GET", i % 2 === 0 ? "/v2/_catalog" : "/v1/users/", { headers });
      }),
    );
    const late = guesses.filter(({ status }) => status === 429);
    // Of both workers together ten are looked at; another every five seconds that all this takes.
    expect(guesses.length - late.length).to.be.within(10, 15);
    expect(late.every(({ headers }) => /^[1-9]\d?$/.test(String(headers["retry-after"])))).to.equal(true);
    expect(guesses.filter(({ status }) => status !== 429 && status !== 401)).to.deep.equal([]);
    expect(registry.output).not.to.contain("guess 1");
  });
});
