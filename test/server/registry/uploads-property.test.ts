import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { blobServer, keysOf, type BlobServer } from "../../support/blob-server.ts";
import { digestOf } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import type { Answer, RequestParts } from "../../support/v1-client.ts";

const stores: Readonly<Record<string, (folder: string) => Promise<StorageDriver>>> = {
  memory: async () => await Promise.resolve(openMemory()),
  local: openLocal,
};
const none = Buffer.alloc(0);

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)));
}

async function* inParts(random: Random, bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random(bytes.length - at);
    yield await Promise.resolve(bytes.subarray(at, at + size));
    at += size;
  }
}

/**
 * Pushes a blob as a client of bad manners over bad lines: its bodies end anywhere, some of them break off, some are sent
 * twice or to the wrong place, some go to one server and some to the other. It knows what the answers tell it, and nothing
 * else.
 */
class RoughClient {
  readonly #random: Random;
  readonly #servers: readonly BlobServer[];
  readonly #bytes: Buffer;
  readonly #digest: string;
  #location = "";

  constructor(random: Random, servers: readonly BlobServer[], bytes: Buffer) {
    this.#random = random;
    this.#servers = servers;
    this.#bytes = bytes;
    this.#digest = digestOf(bytes, random(4) === 0 ? "sha512" : "sha256");
  }

  async push(): Promise<string> {
    const algorithm = this.#random(4) === 0 ? "?digest-algorithm=sha512" : "";
    this.#location = (await this.#send([202], "POST", `/v2/a/blobs/uploads/${algorithm}`)).headers.location ?? "";
    let sent = 0;
    let steps = 0;
    while (sent < this.#bytes.length && this.#random(8) > 0 && steps++ < 20) sent = await this.#step(sent);
    const rest = this.#bytes.subarray(sent);
    await this.#mislead(sent);
    await this.#send([201], "PUT", `${this.#location}?digest=${this.#digest}`, { body: this.#body(rest) });
    return this.#digest;
  }

  /** One body, that arrives or not; answers how much the server says it has. */
  async #step(sent: number): Promise<number> {
    const size = 1 + this.#random(this.#bytes.length - sent);
    const chunk = this.#bytes.subarray(sent, sent + size);
    const range = { "Content-Range": `${sent}-${sent + size - 1}` };
    switch (this.#random(5)) {
      case 0:
        await this.#breakOff(chunk);
        return await this.#asked(sent);
      case 1: {
        const headers = { "Content-Range": `${sent + 1}-${sent + size}` };
        const answer = await this.#send([416], "PATCH", this.#location, { headers, body: this.#body(chunk) });
        expect(answer.headers.range).to.equal(`0-${Math.max(0, sent - 1)}`);
        return sent;
      }
      case 2: {
        const [one, two] = await Promise.all(
          [0, 1].map(
            async () =>
              await this.#send([202, 416], "PATCH", this.#location, { headers: range, body: this.#body(chunk) }),
          ),
        );
        expect([one?.status, two?.status].filter((status) => status === 202)).to.have.length(1);
        return await this.#asked(sent + size);
      }
      case 3:
        await this.#send([202], "PATCH", this.#location, { headers: range, body: this.#body(chunk) });
        await this.#send([416], "PATCH", this.#location, { headers: range, body: this.#body(chunk) });
        return sent + size;
      default: {
        const answer = await this.#send([202], "PATCH", this.#location, { body: this.#body(chunk) });
        expect(answer.headers.range).to.equal(`0-${sent + size - 1}`);
        return sent + size;
      }
    }
  }

  /** Asks to finish with the wrong bytes: refused, and nothing has changed. */
  async #mislead(sent: number): Promise<void> {
    const wrong = Buffer.concat([this.#bytes.subarray(sent), Buffer.from("!")]);
    if (this.#random(2) === 0) return;
    await this.#send([400], "PUT", `${this.#location}?digest=${this.#digest}`, { body: this.#body(wrong) });
    await this.#asked(sent);
  }

  async #breakOff(chunk: Buffer): Promise<void> {
    const server = this.#server();
    const head = `PATCH ${this.#location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${chunk.length + 1}\r\n\r\n`;
    const connection = await RawConnection.open(server.port, head);
    connection.send(chunk.subarray(0, this.#random(chunk.length + 1)));
    connection.close();
  }

  async #asked(expected: number): Promise<number> {
    const { headers } = await this.#send([204], "GET", this.#location);
    expect(headers.range).to.equal(`0-${Math.max(0, expected - 1)}`);
    return expected;
  }

  #body(bytes: Buffer): RequestParts["body"] & {} {
    return this.#random(2) === 0 ? bytes : inParts(this.#random, bytes);
  }

  #server(): BlobServer {
    return this.#servers[this.#random(this.#servers.length)]!;
  }

  async #send(statuses: readonly number[], method: string, path: string, parts: RequestParts = {}): Promise<Answer> {
    return await this.#server().client.expect(statuses, method, path, { body: none, ...parts });
  }
}

describe("V2 uploads of any shape", () => {
  const opened: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const part of opened.splice(0).reverse()) await part.close();
  });

  for (const [kind, open] of Object.entries(stores)) {
    it(`end in the bytes that were sent, over ${kind} storage`, async function () {
      this.timeout(180_000);
      const random = seededRandom(this);
      const folder = await temporaryFolder();
      opened.push({
        close: async () => {
          await removeFolder(folder);
        },
      });
      const driver = await open(folder);
      const servers = [await blobServer(driver), await blobServer(driver)];
      opened.push(driver, ...servers);
      for (let round = 0; round < 15; round++) {
        const contents = Array.from({ length: 4 }, () =>
          randomBytes(random, random(3) === 0 ? random(3) : random(5000)),
        );
        const digests = await Promise.all(
          contents.map(async (bytes) => await new RoughClient(random, servers, bytes).push()),
        );
        for (const [at, digest] of digests.entries()) {
          const got = await servers[random(2)]!.client.send("GET", `/v2/a/blobs/${digest}`);
          expect(got.status).to.equal(200);
          expect(got.body.equals(contents[at]!), `round ${round}`).to.equal(true);
        }
      }
      for (const server of servers) expect(server.faults).to.deep.equal([]);
      expect(await keysOf(driver, "_registryctl/uploads")).to.deep.equal([]);
    });
  }
});
