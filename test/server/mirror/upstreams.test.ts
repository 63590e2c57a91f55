import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { Connection } from "../../../src/server/mirror/connection.ts";
import { anonymous, helperLogin } from "../../../src/server/mirror/credentials.ts";
import { unmetered } from "../../../src/server/mirror/meter.ts";
import { Upstream } from "../../../src/server/mirror/upstream.ts";
import { Upstreams } from "../../../src/server/mirror/upstreams.ts";
import { createLog } from "../../../src/server/log.ts";
import { parseOciName } from "../../../src/server/registry/oci-names.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

describe("upstreams", () => {
  const log = createLog({ level: "error", destination: { write: () => undefined } });
  const place = (host: string, prefix: string, repositories: readonly string[] = [], hosts: readonly string[] = []) => {
    const url = new URL(`https://${host}`);
    const upstream = new Upstream({
      url,
      connection: new Connection({ who: host }),
      credentials: anonymous,
      log,
      meter: unmetered,
    });
    return { upstream, v1: undefined, prefix, hosts: [host, ...hosts], repositories, tagsLifetime: 0, push: true };
  };
  const upstreams = new Upstreams([
    place("registry-1.docker.io", ""),
    place("quay.io", "quay", ["coreos/*", "one"]),
    place("ghcr.io", "quay/deeper", [], ["ghcr.example.com"]),
  ]);
  const found = (name: string) => {
    const mirrored = upstreams.find(parseOciName(name));
    return mirrored && `${mirrored.upstream.who} ${mirrored.remoteName}`;
  };

  for (const [name, expected] of [
    ["alpine", "registry-1.docker.io library/alpine"],
    ["library/alpine", "registry-1.docker.io library/alpine"],
    ["foo/app", "registry-1.docker.io foo/app"],
    ["quay", "registry-1.docker.io library/quay"],
    ["quay/coreos/etcd", "quay.io coreos/etcd"],
    ["quay/one", "quay.io one"],
    ["quay/other/app", undefined],
    ["quay/coreosx", undefined],
    ["quay/deeper/app", "ghcr.io app"],
    ["quayx/app", "registry-1.docker.io quayx/app"],
  ] as const) {
    it(`${expected === undefined ? "are not asked" : "are asked"} for ${name}`, () => {
      expect(found(name)).to.equal(expected);
    });
  }

  for (const [name, host, expected] of [
    ["library/alpine", "docker.io", "library/alpine"],
    ["coreos/etcd", "quay.io", "quay/coreos/etcd"],
    ["app", "GHCR.example.com", "quay/deeper/app"],
    ["app", "elsewhere.example.com", undefined],
  ] as const) {
    it(`are known by the host ${host}`, () => {
      expect(upstreams.localName(name, host)).to.equal(expected);
    });
  }
});

describe("a credential helper", () => {
  let folder: string;

  before(async () => {
    folder = await temporaryFolder("helper");
  });

  after(async () => {
    await removeFolder(folder);
  });

  async function helper(script: string) {
    const program = join(folder, `docker-credential-${script.length}`);
    await writeFile(program, `#!/bin/sh\n${script}\n`);
    await chmod(program, 0o755);
    return helperLogin(program, "registry.example.com");
  }

  it("is asked for the server", async () => {
    const ask = await helper(`read server; printf '{"Username":"%s","Secret":"s"}' "$server $1"`);
    const login = { username: "registry.example.com get", password: "s" };
    expect(await Promise.all([ask(), ask()])).to.deep.equal([login, login]);
  });

  it("may know nobody", async () => {
    expect(await (await helper(`echo "credentials not found in native keychain"; exit 1`))()).to.equal(undefined);
  });

  for (const [name, script] of [
    ["fails", "echo secret >&2; exit 3"],
    ["says nothing of use", `echo '{"secret": 1}'`],
  ] as const) {
    it(`that ${name} is told of, without what it said`, async () => {
      const error: unknown = await (await helper(script))().catch((reason: unknown) => reason);
      expect(String(error)).to.contain("credential helper").and.not.contain("secret");
    });
  }

  it("that is not there is told of", async () => {
    const error: unknown = await helperLogin("no-such-helper", "x")().catch((reason: unknown) => reason);
    expect(String(error)).to.contain("docker-credential-no-such-helper gives nothing: it can't be started");
  });
});
