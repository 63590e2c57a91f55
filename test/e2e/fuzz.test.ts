import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { until } from "../support/program.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";
import { seededRandom, type Random } from "../support/random.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startRegistry, type RegistryServer } from "../support/registry-server.ts";
import { smallChain } from "../support/v1-images.ts";

const pieces = [
  "..",
  ".",
  "%2e%2e",
  "%2E%2E%2f",
  "..%2f..%2f",
  "%252e%252e",
  "/",
  "//",
  "\\",
  "%5c",
  "%00",
  "%0a",
  "%ff",
  "%c3%28",
  "é",
  "a",
  "A+b",
  "a b",
  "%20",
  "~",
  "*",
  "?q=",
  "#",
  ";",
  ":",
  "@",
  "library",
  "images",
  "tags",
  "json",
  "layer",
  "x".repeat(300),
  "{}",
  "[]",
  "'",
  '"',
  "`",
  "$(id)",
  "<b>",
  "constructor",
  "__proto__",
  "latest",
  "-",
  "_",
  "%",
  "%zz",
  "0",
  "-1",
  "1e9",
];
const routes = [
  "/v1/repositories/$/images",
  "/v1/repositories/$/",
  "/v1/repositories/$/tags/$",
  "/v1/repositories/$/tags",
  "/v1/repositories/$",
  "/v1/repositories/$/$/tags/$/json",
  "/v1/repositories/$/properties",
  "/v1/repositories/$/json",
  "/v1/repositories/$/auth",
  "/v1/images/$/json",
  "/v1/images/$/layer",
  "/v1/images/$/ancestry",
  "/v1/images/$/checksum",
  "/v1/images/$/files",
  "/v1/images/$/diff",
  "/v1/private_images/$/json",
  "/v1/search?q=$&n=$&page=$",
  "/v1/users/$/",
  "/v1/users/",
  "/$",
  "/v2/$",
];
const methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "PROPFIND"];
const headerValues = [
  "",
  "bytes=0-",
  "bytes=-1",
  "bytes=99999999999999999999-",
  "bytes=5-1",
  "bytes=0-0,2-3",
  "garbage",
  "docker/",
  "docker/0",
  "docker/0.9.1",
  "docker/0.9",
  "docker/1",
  "docker/99999999999999",
  "Basic Og==",
  "Token",
  'Token repository="../../x",access=write',
  'Token signature=A,repository="a/b",access=read',
  "sha256:0",
  "tarsum+sha256:",
  "x".repeat(5000),
  "text/html",
  "gzip",
  "\u00e9",
];
const headerNames = [
  "Range",
  "If-Modified-Since",
  "If-Range",
  "User-Agent",
  "Authorization",
  "X-Docker-Checksum",
  "X-Docker-Checksum-Payload",
  "X-Signature",
  "X-Docker-Token",
  "Content-Type",
  "Accept-Encoding",
  "X-Forwarded-For",
  "X-Request-Id",
  "Origin",
  "Expect",
];
const bodies = [
  "",
  "{",
  "{}",
  "[]",
  "null",
  '"a"',
  '[{"id": 1}]',
  '[{"id": "a", "checksum": {}}]',
  '{"id": "x", "parent": ["x"]}',
  "[".repeat(5000),
  '{"access": {}}',
  '{"__proto__": {"access": "private"}}',
  '{"access": "__proto__"}',
  "\u0000\u0001",
  "1e999",
  '"\\ud800"',
  "x".repeat(70_000),
];

describe("fuzzed V1 requests", () => {
  let folder: string;
  let server: RegistryServer;
  before(async () => {
    folder = await temporaryFolder();
    await mkdir(join(folder, "root"));
    server = await startRegistry({ storage: "local", storage_path: join(folder, "root") });
    await server.client.push("a/b", "latest", await smallChain(2));
  });
  after(async () => {
    await server.close();
    await removeFolder(folder);
  });

  const pick = (random: Random, from: readonly string[]) => from[random(from.length)] ?? "";
  const word = (random: Random) => Array.from({ length: 1 + random(3) }, () => pick(random, pieces)).join("");

  function request(random: Random): string {
    const path = pick(random, routes).replaceAll("$", () => word(random));
    const body = pick(random, bodies);
    const headers = Array.from(
      { length: random(4) },
      () => `${pick(random, headerNames)}: ${pick(random, headerValues)}\r\n`,
    );
    const length =
      random(10) === 0 ? "Transfer-Encoding: chunked\r\n" : `Content-Length: ${Buffer.byteLength(body, "latin1")}\r\n`;
    const sent = length.startsWith("T")
      ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`.replace(/^0\r\n\r\n/, "")
      : body;
    return `${pick(random, methods)} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${length}${headers.join("")}\r\n${sent}`;
  }

  it("are answered, never with a fault, and leave nothing outside the root", async function () {
    this.timeout(300_000);
    const random = seededRandom(this);
    for (let round = 0; round < 150; round++) {
      const requests = Array.from({ length: 20 }, () => request(random));
      await Promise.all(
        requests.map(async (text) => {
          const connection = await RawConnection.open(server.port, text);
          const shown = JSON.stringify(text.slice(0, 300));
          await until(`an answer to ${shown}`, () => /^HTTP\/1\.1 [2-5]/m.test(connection.received));
          const status = /^HTTP\/1\.1 (?!100)(\d+)/m.exec(await connection.rest())?.[1];
          expect(Number(status), shown).to.satisfy((code: number) => code < 500 || code === 501);
        }),
      );
    }
    expect(await readdir(folder)).to.deep.equal(["root"]);
    expect(await readdir(join(folder, "root"))).to.have.members(["_registryctl", "docker", "images", "repositories"]);
    expect(server.log.filter((line) => line.includes("fault"))).to.deep.equal([]);
    expect(await server.client.pull("a/b", "latest").catch(() => "deleted by the fuzz")).not.to.equal(undefined);
  });
});
