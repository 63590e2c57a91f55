import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent, request, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect } from "chai";
import { RegistryProcess } from "../../support/registry-process.ts";

const mebibyte = 1024 * 1024;
const size = 256 * mebibyte;
const clients = 16;
/** Different blobs that are pulled. */
const sources = 4;

/** All blobs are one random mebibyte over and over, and differ in the last of them: so hashing them costs little. */
const common = randomBytes(mebibyte);
const hashOfCommon = createHash("sha256");
for (let at = mebibyte; at < size; at += mebibyte) hashOfCommon.update(common);

interface Blob {
  readonly digest: string;
  readonly last: Buffer;
}

function newBlob(): Blob {
  const last = Buffer.concat([randomBytes(16), common.subarray(16)]);
  return { digest: `sha256:${hashOfCommon.copy().update(last).digest("hex")}`, last };
}

function* bytesOf({ last }: Blob, pace?: Pace): Iterable<Buffer> {
  for (let at = mebibyte; at < size; at += mebibyte) {
    yield common;
    pace?.advance(at);
  }
  yield last;
  pace?.advance(size);
}

/** Keeps a client that pulls in step with one that pushes, so that both are busy until the end. */
class Pace {
  #reached = 0;
  #go: (() => void) | undefined;

  advance(bytes: number): void {
    this.#reached = bytes;
    this.#go?.();
  }

  async reached(bytes: number): Promise<void> {
    while (this.#reached < bytes) await new Promise<void>((resolve) => (this.#go = resolve));
  }
}

describe("memory of a server", function () {
  this.timeout(600_000);
  let registry: RegistryProcess;
  let agent: Agent;
  before(async () => {
    agent = new Agent({ keepAlive: true });
    registry = await RegistryProcess.start();
  });
  after(async () => {
    agent.destroy();
    await registry.remove();
  });

  /** Sends a request, its body as it is taken, and answers when the head of the answer is there. */
  async function send(
    method: string,
    path: string,
    { headers = {}, body = [] }: { headers?: Record<string, string | number>; body?: Iterable<Buffer> } = {},
  ): Promise<IncomingMessage> {
    const outgoing = request(new URL(path, registry.url), { method, agent, headers });
    const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
    const [[answer]] = await Promise.all([answered, pipeline(Readable.from(body), outgoing)]);
    return answer;
  }

  /** Resolves with the upload's next location. */
  async function accepted(answer: IncomingMessage, status: number): Promise<string> {
    const text = (await answer.setEncoding("utf8").toArray()).join("");
    expect(answer.statusCode, text).to.equal(status);
    return answer.headers.location ?? "";
  }

  async function push(blob: Blob, form: "one PUT" | "one PATCH", pace?: Pace): Promise<void> {
    const begin = { headers: { "Content-Length": 0 } };
    const end = (location: string): string => `${location}${location.includes("?") ? "&" : "?"}digest=${blob.digest}`;
    const type = { "Content-Type": "application/octet-stream" };
    const body = bytesOf(blob, pace);
    const location = await accepted(await send("POST", "/v2/large/blobs/uploads/", begin), 202);
    if (form === "one PUT") {
      await accepted(await send("PUT", end(location), { headers: { ...type, "Content-Length": size }, body }), 201);
    } else {
      const next = await accepted(await send("PATCH", location, { headers: type, body }), 202);
      await accepted(await send("PUT", end(next), begin), 201);
    }
  }

  async function pull(blob: Blob, pace: Pace): Promise<void> {
    const answer = await send("GET", `/v2/large/blobs/${blob.digest}`);
    expect(answer.statusCode).to.equal(200);
    let length = 0;
    let isRight = true;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      const at = length % mebibyte;
      const expected = (length < size - mebibyte ? common : blob.last).subarray(at, at + chunk.length);
      isRight &&= chunk.subarray(0, expected.length).equals(expected);
      length += chunk.length;
      await pace.reached(Math.min(size, length - (length % mebibyte)));
    }
    expect([length, isRight]).to.deep.equal([size, true]);
  }

  it(`stays below 150 MB while ${clients} clients push and ${clients} pull large blobs`, async () => {
    const blobs = Array.from({ length: sources }, newBlob);
    for (const blob of blobs) await push(blob, "one PUT");
    await Promise.all(
      Array.from({ length: clients }, async (_, at) => {
        const pace = new Pace();
        await Promise.all([
          push(newBlob(), at % 2 === 0 ? "one PUT" : "one PATCH", pace),
          pull(blobs[at % sources]!, pace),
        ]);
      }),
    );
    const peak = (await registry.peakMemory()) / 1e6;
    process.stderr.write(`      peak memory ${peak.toFixed(0)} MB\n`);
    expect(peak).to.be.lessThan(150);
  });
});
