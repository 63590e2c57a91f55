import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import { BlobSeries } from "../../bench/load/blob-series.ts";
import { downloads, verifyDownload } from "../../bench/load/downloads.ts";
import { fetchBody, requests } from "../../bench/load/requests.ts";
import { upload, type UploadForm } from "../../bench/load/uploads.ts";
import { wrongLogins } from "../../bench/load/wrong-logins.ts";

async function failure(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "",
    (error: unknown) => String(error),
  );
}

describe("the load of a measurement", () => {
  let server: Server;
  let url: string;
  let handler: RequestListener;

  before(async () => {
    server = createServer((request, response) => {
      handler(request, response);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  after(() => {
    server.close();
    server.closeAllConnections();
  });

  it("counts requests over kept connections", async () => {
    let served = 0;
    const sockets = new Set<unknown>();
    handler = (request, response) => {
      served++;
      sockets.add(request.socket);
      response.end("12345");
    };
    const job = { url, method: "GET", paths: ["/a"], connections: 4, seconds: 0.05, status: 200 } as const;
    const result = await requests({ ...job, length: 5 });
    expect(result.count).to.equal(served);
    expect(sockets.size).to.equal(4);
    expect(result.p50).to.be.above(0);
    expect(result.p99).to.be.at.least(result.p50);
    expect(await failure(requests({ ...job, length: 6 }))).to.include("200, 5 bytes");
    expect(await failure(requests({ ...job, status: 404 }))).to.include("200, 5 bytes");
  });

  it("logs in with the name and password of the URL", async () => {
    const seen: unknown[] = [];
    handler = (request, response) => {
      seen.push(request.headers.authorization);
      response.end("1");
    };
    await fetchBody({ url: url.replace("//", "//ann:secret@"), path: "/a" });
    await fetchBody({ url, path: "/a" });
    expect(seen).to.deep.equal([`Basic ${Buffer.from("ann:secret").toString("base64")}`, undefined]);
  });

  it("guesses passwords from one address and from many, of somebody and of nobody", async () => {
    const seen: { name: string; password: string; from: string }[] = [];
    handler = ({ headers }, response) => {
      const login = Buffer.from(headers.authorization?.split(" ")[1] ?? "", "base64").toString();
      const [name = "", password = ""] = login.split(":");
      seen.push({ name, password, from: String(headers["x-forwarded-for"]) });
      response.writeHead(seen.length % 4 === 0 ? 429 : 401).end();
    };
    const job = { url: url.replace("//", "//ann:secret@"), path: "/a", known: "ann", perSecond: 1000, seconds: 0.04 };
    expect(await wrongLogins(job)).to.deep.equal({ unauthorized: 30, tooMany: 10 });
    expect(new Set(seen.map(({ password }) => password)).size).to.equal(40);
    expect(new Set(seen.map(({ name }) => name)).size).to.equal(21);
    expect(new Set(seen.map(({ from }) => from)).size).to.equal(21);
    expect(new Set(seen.map(({ name, from }) => `${name} ${from}`)).size).to.equal(31);
    handler = (_request, response) => response.end();
    expect(await failure(wrongLogins(job))).to.include("a wrong login is answered 200");
  });

  it("notices downloads that are cut, short or wrong", async () => {
    const body = Buffer.alloc(3_000_000, "x");
    const digest = `sha256:${createHash("sha256").update(body).digest("hex")}`;
    handler = (_request, response) => response.end(body);
    const job = { url, path: "/b", connections: 2, times: 2 };
    expect((await downloads({ ...job, length: body.length })).bytes).to.equal(4 * body.length);
    expect(await failure(downloads({ ...job, length: body.length + 1 }))).to.include("3000000 bytes");
    await verifyDownload({ url, path: "/b", digest });
    body[7] = 0;
    expect(await failure(verifyDownload({ url, path: "/b", digest }))).to.include("the bytes are those of");
    handler = (_request, response) => {
      response.writeHead(200, { "Content-Length": 10 });
      response.write("12345", () => response.destroy());
    };
    expect(await failure(downloads({ ...job, length: 10 }))).to.match(/closed the connection|ECONNRESET/);
  });

  for (const form of ["monolithic", "streamed", "chunked"] as const satisfies readonly UploadForm[]) {
    it(`pushes ${form} what its digest says`, async () => {
      const received: Buffer[] = [];
      const seen: string[] = [];
      handler = (request, response) => {
        request.on("data", (bytes: Buffer) => received.push(bytes));
        request.on("end", () => {
          seen.push(`${request.method ?? ""} ${request.url ?? ""}`);
          const isEnd = request.method === "PUT";
          response.writeHead(isEnd ? 201 : 202, { Location: "/v2/r/blobs/uploads/1?s=t" }).end();
        });
      };
      const size = 40 * 1024 * 1024 + 5;
      const { digest } = await upload({ url, repository: "r", size, form });
      const hash = createHash("sha256");
      for (const bytes of received) hash.update(bytes);
      expect(received.reduce((sum, { length }) => sum + length, 0)).to.equal(size);
      expect(`sha256:${hash.digest("hex")}`).to.equal(digest);
      expect(seen.at(0)).to.equal("POST /v2/r/blobs/uploads/");
      expect(seen.at(-1)).to.equal(`PUT /v2/r/blobs/uploads/1?s=t&digest=${encodeURIComponent(digest)}`);
      expect(seen.length).to.equal({ monolithic: 2, streamed: 3, chunked: 2 + Math.ceil(41 / 3) }[form]);
    });
  }

  it("ends a push that is refused before its end", async () => {
    handler = (request, response) => {
      request.resume();
      if (request.method === "POST") response.writeHead(202, { Location: "/u" }).end();
      else response.writeHead(413, { Connection: "close" }).end("too large");
    };
    expect(await failure(upload({ url, repository: "r", size: 5_000_000, form: "monolithic" }))).to.include("413");
  });

  it("makes blobs that differ, with their digests", () => {
    for (const size of [1, 4096, 1024 * 1024, 3 * 1024 * 1024 + 1]) {
      const series = new BlobSeries(size);
      const blobs = [series.next(), series.next()];
      for (const blob of blobs) {
        const bytes = Buffer.concat([...blob.chunks()]);
        expect(bytes.length).to.equal(size);
        expect(`sha256:${createHash("sha256").update(bytes).digest("hex")}`).to.equal(blob.digest);
      }
      if (size > 1) expect(blobs[0]?.digest).not.to.equal(blobs[1]?.digest);
    }
  });
});
