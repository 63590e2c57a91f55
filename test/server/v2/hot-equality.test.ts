import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { expect } from "chai";
import { sign } from "../../../src/server/access/signature.ts";
import { digestOf, imageManifest, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { V1Client, type RequestParts } from "../../support/v1-client.ts";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** A client that may do everything. */
class SigningClient extends V1Client {
  override async open(method: string, path: string, parts: RequestParts = {}): Promise<IncomingMessage> {
    const headers = { ...parts.headers, "X-Signature": signature(method, path) };
    return await super.open(method, path, { ...parts, headers });
  }
}

function signature(method: string, path: string): string {
  return sign({ method, path: path.replace(/\?.*/, ""), headers: {} }, privateKey);
}

const blob = Buffer.from("a blob of its own");
const name = "some/image";

/** Gives every server the same content; answers the URLs that are asked for. */
async function fill(client: V1Client): Promise<readonly string[]> {
  const one = await pushManifest(client, name, "v1", await imageManifest(client, name, "one"));
  await pushManifest(client, name, "v2", { ...(await imageManifest(client, name, "two")), annotations: { text: "é" } });
  await pushBlob(client, name, blob);
  return [
    `/v2/${name}/manifests/v1`,
    `/v2/${name}/manifests/v2`,
    `/v2/${name}/manifests/${one.digest}`,
    `/v2/${name}/blobs/${digestOf(blob)}`,
    `/v2/${name}/manifests/missing`,
    `/v2/${name}/manifests/${digestOf("missing")}`,
    `/v2/${name}/blobs/${digestOf("missing")}`,
    `/v2/other/manifests/v1`,
    `/v2/${name}/manifests/v1?x=y`,
    `/v2/${name}/tags/list`,
    `/v2/${name}/tags/list?n=1`,
    `/v2/${name}/tags/list?n=x`,
    `/v2/other/tags/list`,
    "/v2/_catalog?n=1&last=some%2Fimage",
    "/v2/_catalog?n=1",
    `/v2/${name}/manifests/v%31`,
    `//v2/${name}/manifests/v1`,
    `http://registry.example/v2/${name}/manifests/v1`,
  ];
}

const etag = `"${digestOf(blob)}"`;
const variants: Readonly<Record<string, string>> = {
  "nothing special": "",
  "a range": "Range: bytes=2-5\r\n",
  "several ranges": "Range: bytes=0-1,3-4\r\n",
  "a range if the blob is the same": `Range: bytes=2-5\r\nIf-Range: ${etag}\r\n`,
  "a range if it is another": 'Range: bytes=2-5\r\nIf-Range: "other"\r\n',
  "the blob's ETag": `If-None-Match: ${etag}\r\n`,
  "any ETag": "If-None-Match: *\r\n",
  "an ETag that never was": 'If-None-Match: "sha256:0"\r\n',
  "a client of V1": "User-Agent: docker/1.5.0\r\n",
  "a client of V2": "User-Agent: docker/20.10.24\r\n",
  "an id of its own": "X-Request-Id: mine\r\n",
  "a body": "Content-Length: 5\r\n",
  "a token": "Authorization: Bearer abc\r\n",
  "an origin": "Origin: https://elsewhere.example\r\n",
};

describe("V2 hot answers", function () {
  this.timeout(180_000);
  let hot: RegistryServer;
  let plain: RegistryServer;
  let signed: RegistryServer;
  let folder: string;
  let urls: readonly string[];
  before(async () => {
    folder = await temporaryFolder();
    const keyFile = join(folder, "key.pub.pem");
    await writeFile(keyFile, publicKey.export({ type: "pkcs1", format: "pem" }));
    hot = await startRegistry();
    // Others may change this one's store: everything goes through the application.
    plain = await startRegistry({ storage: "local", storage_path: join(folder, "store") });
    signed = await startRegistry({
      standalone: false,
      index_endpoint: "http://127.0.0.1:9",
      privileged_key: keyFile,
    });
    urls = await fill(hot.client);
    await fill(plain.client);
    await fill(new SigningClient(signed.url));
  });
  after(async () => {
    await hot.close();
    await plain.close();
    await signed.close();
    await removeFolder(folder);
  });

  /** The answer as it came over the wire, without what is of its moment; and what the log says of it. */
  async function exchange(server: RegistryServer, head: string): Promise<readonly string[]> {
    const logged = server.log.length;
    const body = head.includes("Content-Length") ? "hello" : "";
    const connection = await RawConnection.open(server.port, `${head}\r\n${body}`);
    const answer = await connection.rest();
    await until("the line", () => server.log.length > logged);
    return [withoutMoment(answer), ...server.log.slice(logged).map(withoutMoment)];
  }

  const withoutMoment = (text: string) =>
    text
      .replace(/^Date: .*$/m, "Date: now")
      .replace(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g, "an-id")
      .replace(/"(time|ms)":[^,}]+/g, '"$1":0');

  for (const [what, headers] of Object.entries(variants)) {
    for (const version of ["1.1", "1.0"]) {
      it(`are those of the application, and so is the log, for ${what} (HTTP/${version})`, async () => {
        for (const method of ["GET", "HEAD"]) {
          for (const url of urls) {
            const head = `${method} ${url} HTTP/${version}\r\nHost: registry\r\nConnection: close\r\n${headers}`;
            const expected = await exchange(plain, head);
            for (const round of ["cold", "hot"]) {
              expect(await exchange(hot, head), `${round}: ${head}`).to.deep.equal(expected);
            }
            const path = new URL(url.replace(/^\/+/, "/"), "http://registry").pathname;
            const withSignature = `${head}X-Signature: ${signature(method, path)}\r\n`;
            for (const round of ["cold", "hot"]) {
              expect(await exchange(signed, withSignature), `signed, ${round}: ${head}`).to.deep.equal(expected);
            }
            const [refused = ""] = await exchange(signed, head);
            expect(refused, `not signed: ${head}`).to.match(/^HTTP\/1.1 401 /);
          }
        }
      });
    }
  }

  it("are left to the application where what CORS adds depends on who asks", async () => {
    const server = await startRegistry({ cors: { origins: ["https://one.example", "https://two.example"] } });
    try {
      const [url = ""] = await fill(server.client);
      for (let round = 0; round < 2; round += 1) {
        for (const origin of ["https://one.example", "https://two.example", "https://three.example"]) {
          const { headers } = await fetch(`${server.url}${url}`, { headers: { origin } });
          const allowed = headers.get("access-control-allow-origin");
          expect(allowed, origin).to.equal(origin.includes("three") ? null : origin);
        }
      }
    } finally {
      await server.close();
    }
  });

  it("leave connections as the application leaves them", async () => {
    const one = (path: string, connection: string, version = "1.1") =>
      `GET ${path} HTTP/${version}\r\nHost: registry\r\nConnection: ${connection}\r\n\r\n`;
    const [path = ""] = urls;
    for (const text of [
      one(path, "keep-alive") + one(path, "keep-alive") + one(path, "close"),
      one(path, "keep-alive", "1.0") + one(path, "close", "1.0"),
      one(path, "keep-alive") + one(`${path}-missing`, "keep-alive") + one(path, "close"),
    ]) {
      const received = async (server: RegistryServer) => {
        const connection = await RawConnection.open(server.port, text);
        return withoutMoment(await connection.rest()).replaceAll(/^Date: .*$/gm, "Date: now");
      };
      const expected = await received(plain);
      expect(await received(hot)).to.equal(expected);
      expect(await received(hot)).to.equal(expected);
    }
  });
});
