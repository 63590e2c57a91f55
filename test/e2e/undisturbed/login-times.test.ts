import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { newKey } from "../../../src/server/accounts/api-key.ts";
import { hashed } from "../../../src/server/accounts/password-hash.ts";
import { basic } from "../../support/guarded-registry.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

/** A way to log in, and what is answered when that fails. */
type Way = (name: string, password: string, address: string) => Promise<number>;

/** Takes a few dozen times as long as a request that hashes nothing. */
const cost = 7;
/** Of each account fewer than are allowed before it is told to come again. */
const rounds = 11;

describe("how long a login takes that fails", function () {
  this.timeout(300_000);
  // Other work on the machine disturbs what is measured.
  this.retries(2);
  let folder: string;
  let server: RegistryServer;
  let count = 0;

  before(async () => {
    folder = await temporaryFolder("login-times");
    const sha1 = createHash("sha1").update("right").digest("base64");
    const users = [`strong:${await hashed("right", cost)}`, `quick:${await hashed("right", 4)}`, `old:{SHA}${sha1}`];
    await writeFile(join(folder, "users"), users.join("\n"));
  });
  beforeEach(async () => {
    // Each with a new one, which has counted no failures yet.
    server = await startRegistry({
      http: { trusted_proxies: ["127.0.0.1"] },
      auth: { htpasswd: join(folder, "users") },
    });
    await get("/v2/_catalog")("warm", "the thread that hashes", "10.255.0.1");
  });
  afterEach(async () => {
    await server.close();
  });
  after(async () => {
    await removeFolder(folder);
  });

  const get =
    (path: string): Way =>
    async (name, password, address) => {
      const headers = { ...basic(name, password), "X-Forwarded-For": address };
      return (await server.client.send("GET", path, { headers })).status;
    };
  const post: Way = async (username, password, address) => {
    const form = new URLSearchParams({ grant_type: "password", username, password });
    const headers = { "Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": address };
    return (await server.client.send("POST", "/v2/token", { headers, body: Buffer.from(form.toString()) })).status;
  };

  /** The median time for each name, in milliseconds; they take turns, with ever new passwords from ever new addresses. */
  async function medians(way: Way, names: readonly string[], password: () => string): Promise<Map<string, number>> {
    const times = new Map(names.map((name): [string, number[]] => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [name, taken] of times) {
        count++;
        const begun = performance.now();
        const status = await way(name, password(), `10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`);
        taken.push(performance.now() - begun);
        expect(status, name).to.equal(401);
      }
    }
    return new Map([...times].map(([name, taken]) => [name, taken.sort((a, b) => a - b)[rounds >> 1]!]));
  }

  for (const [what, way] of [
    ["V2", get("/v2/_catalog")],
    ["the token service, by GET", get("/v2/token?service=registryctl")],
    ["the token service, by a form", post],
    ["V1's index", get("/v1/users/")],
    ["V1's images", get(`/v1/images/${"0".repeat(64)}/json`)],
  ] as const) {
    it(`is the same at ${what} whether there is such an account, and whatever its hash is`, async () => {
      const names = ["nobody", "strong", "quick", "old"];
      const times = await medians(way, names, () => `wrong ${count}`);
      const told = JSON.stringify([...times]);
      const unknown = times.get("nobody")!;
      for (const taken of times.values()) expect(taken / unknown, told).to.be.within(0.6, 1.67);
      // Without hashing, an answer would take a fraction of this.
      const [unhashed] = (await medians(way, ["strong"], () => newKey().key)).values();
      expect(unknown / unhashed!, told).to.be.greaterThan(2);
    });
  }

  it("is the same with an API key that there is not, whether there is such an account", async () => {
    const times = await medians(get("/v2/_catalog"), ["nobody", "strong", "old"], () => newKey().key);
    const unknown = times.get("nobody")!;
    for (const taken of times.values()) expect(taken / unknown, JSON.stringify([...times])).to.be.within(0.5, 2);
  });
});
