import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { request } from "node:http";
import { request as tlsRequest } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { expect } from "chai";
import type { Context } from "koa";
import { bufferedBody } from "../../src/server/http/body.ts";
import { requestTarget } from "../../src/server/http/target.ts";
import { ListenError, listen, removeStaleSocket } from "../../src/server/server.ts";
import { koaServer, type KoaServer } from "../support/koa-server.ts";
import { needs } from "../support/needs.ts";
import { Program, removeFolder, temporaryFolder, until } from "../support/program.ts";
import { RawConnection } from "../support/raw-connection.ts";

describe("listen", () => {
  let server: KoaServer;
  let act: (ctx: Context) => unknown;
  let folder: string;

  before(async () => {
    folder = await temporaryFolder();
  });

  after(async () => {
    await removeFolder(folder);
  });

  beforeEach(async () => {
    act = (ctx) => {
      ctx.body = `path ${ctx.path}`;
    };
    server = await koaServer((ctx) => act(ctx), { outer: [], headerTimeout: 0.2 });
  });

  afterEach(async () => {
    server.cut();
    await server.close(0);
  });

  describe("what is no proper HTTP", () => {
    const host = "Host: x\r\n";
    const rows: readonly (readonly [string, string, RegExp])[] = [
      ["a NUL byte in the target", `GET /\0 HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 400 /],
      ["a NUL byte in a header", `GET / HTTP/1.1\r\n${host}X: \0\r\n\r\n`, /^HTTP\/1\.1 400 /],
      ["no Host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
      [
        "Content-Length beside Transfer-Encoding",
        `PUT / HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        /^HTTP\/1\.1 400 /,
      ],
      [
        "two different lengths",
        `PUT / HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
        /^HTTP\/1\.1 400 /,
      ],
      ["a negative length", `PUT / HTTP/1.1\r\n${host}Content-Length: -3\r\n\r\nabc`, /^HTTP\/1\.1 400 /],
      ["a space before the colon", `GET / HTTP/1.1\r\nHost : x\r\n\r\n`, /^HTTP\/1\.1 400 /],
      ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n", /^HTTP\/1\.1 400 /],
      ["huge headers", `GET / HTTP/1.1\r\n${host}X: ${"x".repeat(40_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
      ["an expectation that nobody knows", `GET / HTTP/1.1\r\n${host}Expect: the-best\r\n\r\n`, /^HTTP\/1\.1 417 /],
    ];
    for (const [what, text, answer] of rows) {
      it(`refuses ${what}`, async () => {
        const connection = await RawConnection.open(server.port, text);
        expect(await connection.until("\r\n\r\n")).to.match(answer);
        connection.close();
        expect(server.faults).to.deep.equal([]);
      });
    }

    it("gives up on headers that never end with 408", async () => {
      const connection = await RawConnection.open(server.port, `GET / HTTP/1.1\r\n${host}X: 1\r\n`);
      expect(await connection.rest()).to.match(/^HTTP\/1\.1 408 /);
    });

    it("gives up on a connection that never says anything", async () => {
      const connection = await RawConnection.open(server.port);
      expect(await connection.rest()).to.match(/^HTTP\/1\.1 408 /);
    });

    it("answers the requests before the nonsense on the same connection first", async () => {
      let go = (): void => undefined;
      const held = new Promise<void>((resolve) => (go = resolve));
      act = async (ctx) => {
        await held;
        ctx.body = "whole answer";
      };
      const connection = await RawConnection.open(server.port, `GET / HTTP/1.1\r\n${host}\r\n\x01nonsense\r\n\r\n`);
      go();
      expect(await connection.rest()).to.match(/^HTTP\/1\.1 200 [^]*whole answer$/);
    });
  });

  describe("what is unusual, but HTTP", () => {
    it("answers HTTP/1.0 without Host and closes", async () => {
      const connection = await RawConnection.open(server.port, "GET /v1/_ping HTTP/1.0\r\n\r\n");
      expect(await connection.rest()).to.match(/^HTTP\/1\.1 200 [^]*path \/v1\/_ping$/);
    });

    it("answers pipelined requests in order", async () => {
      const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
      const connection = await RawConnection.open(server.port, ask("/a") + ask("/b") + ask("/c"));
      expect(await connection.until("path /c")).to.match(/path \/a[^]*path \/b[^]*path \/c/);
      connection.close();
    });

    for (const [target, path] of [
      ["//v1/_ping", "/v1/_ping"],
      ["///", "/"],
      ["http://registry.example:5000/v1/_ping", "/v1/_ping"],
      ["HTTP://registry.example", "/"],
      ["http://registry.example?q=1", "/"],
      ["/v1//_ping", "/v1//_ping"],
      ["/v1/search?q=//a", "/v1/search"],
    ] as const) {
      it(`takes ${target} for ${path}`, async () => {
        act = async (ctx) => {
          await requestTarget(ctx, () => Promise.resolve());
          ctx.body = `path ${ctx.path}.`;
        };
        const connection = await RawConnection.open(server.port, `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
        await connection.until(`path ${path}.`);
        connection.close();
      });
    }

    it("refuses a target that is no path", async () => {
      act = async (ctx) => {
        await requestTarget(ctx, () => Promise.resolve());
      };
      const connection = await RawConnection.open(server.port, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
      expect(await connection.until("BAD_REQUEST")).to.match(/^HTTP\/1\.1 400 /);
      connection.close();
    });
  });

  describe("close", () => {
    it("closes idle connections at once, those that never asked included", async () => {
      await server.close(0);
      server = await koaServer((ctx) => act(ctx));
      const silent = await RawConnection.open(server.port);
      const idle = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await idle.until("path /");
      expect(await server.close(60)).to.equal(0);
      expect(await idle.ended).to.equal("end");
      expect(await silent.ended).to.equal("end");
    });

    it("lets an upload finish, tells it to close, and refuses new connections meanwhile", async () => {
      let reading = false;
      act = async (ctx) => {
        reading = true;
        ctx.body = `got ${(await bufferedBody(ctx, { limit: 100 })).length}`;
      };
      const upload = await RawConnection.open(server.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
      await until("the upload", () => reading);
      const closed = server.close(60);
      const late = await RawConnection.open(server.port).catch(
        (error: unknown) => (error as NodeJS.ErrnoException).code,
      );
      expect(late).to.equal("ECONNREFUSED");
      upload.send("def");
      expect(await upload.rest()).to.match(/^HTTP\/1\.1 200 [^]*Connection: close[^]*got 6$/);
      expect(await closed).to.equal(0);
    });

    it("closes a connection whose answer had begun once it is whole", async () => {
      let go = (): void => undefined;
      const held = new Promise<void>((resolve) => (go = resolve));
      act = async (ctx) => {
        ctx.respond = false;
        ctx.res.setHeader("Content-Length", "8");
        ctx.res.write("half");
        await held;
        ctx.res.end("done");
      };
      const connection = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await connection.until("half");
      const closed = server.close(60);
      go();
      expect(await connection.rest()).to.match(/Connection: keep-alive[^]*halfdone$/);
      expect(await closed).to.equal(0);
    });

    it("cuts what is not done at the deadline, and says how much", async () => {
      let asked = false;
      act = async () => {
        asked = true;
        await new Promise(() => undefined);
      };
      const connection = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await until("the request", () => asked);
      expect(await server.close(0.05)).to.equal(1);
      expect(await connection.rest()).to.equal("");
    });

    it("cuts at once when told so, whatever the deadline", async () => {
      let asked = false;
      act = async () => {
        asked = true;
        await new Promise(() => undefined);
      };
      await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await until("the request", () => asked);
      const closed = server.close(10 ** 9);
      server.cut();
      expect(await closed).to.equal(1);
    });
  });

  describe("errors", () => {
    const handler = (): void => undefined;

    async function refusal(options: Parameters<typeof listen>[1]): Promise<string> {
      try {
        const running = await listen(handler, options);
        await running.close(0);
      } catch (error) {
        expect(error).to.be.instanceOf(ListenError);
        return (error as Error).message;
      }
      throw new Error("it listens");
    }

    it("says that the port is taken, and what to do", async () => {
      const message = await refusal({ host: "127.0.0.1", port: server.port });
      expect(message).to.include(`port ${server.port} of 127.0.0.1`).and.to.include("--port");
    });

    it("says that the host is no address of this machine", async () => {
      expect(await refusal({ host: "192.0.2.1", port: 0 })).to.include("http.host");
    });

    it("says which TLS file can't be read, or is none", async () => {
      const missing = join(folder, "missing.pem");
      const wrong = join(folder, "wrong.pem");
      await writeFile(wrong, "nothing");
      const where = { host: "127.0.0.1", port: 0 };
      expect(await refusal({ ...where, tls: { certificate: missing, key: missing } }))
        .to.include("http.tls.")
        .and.to.include(missing);
      expect(await refusal({ ...where, tls: { certificate: wrong, key: wrong } })).to.include(wrong);
    });
  });

  describe("on a Unix socket", () => {
    it("answers, and removes the socket at the end", async () => {
      const path = join(folder, "a.sock");
      const running = await listen((_, response) => response.end("hello"), { host: `unix:${path}`, port: 0 });
      expect(running.url).to.equal(`unix:${path}`);
      const status = await new Promise((resolve, reject) => {
        request({ socketPath: path }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        })
          .on("error", reject)
          .end();
      });
      expect(status).to.equal(200);
      await running.close(0);
      expect(existsSync(path)).to.equal(false);
    });

    it("can be bound again after a server was killed, but not while one runs", async () => {
      const path = join(folder, "b.sock");
      const source = `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`;
      const program = new Program(process.execPath, ["-e", source]);
      await program.ready("the server", () => program.output.includes("up"));
      await removeStaleSocket(`unix:${path}`);
      expect(existsSync(path)).to.equal(true);
      await program.stop("SIGKILL");
      expect(existsSync(path)).to.equal(true);
      await removeStaleSocket(`unix:${path}`);
      const again = createServer().listen(path);
      await until("the server", () => again.listening);
      again.close();
    });
  });

  describe("with TLS", () => {
    let certificate: string;
    let key: string;

    before(function () {
      const [openssl = ""] = needs(this, "openssl");
      [certificate, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
      const subject = ["-subj", "/CN=localhost", "-days", "2"];
      execFileSync(
        openssl,
        [
          "req",
          "-x509",
          "-newkey",
          "ec",
          "-pkeyopt",
          "ec_paramgen_curve:P-256",
          "-nodes",
          "-keyout",
          key,
          "-out",
          certificate,
          ...subject,
        ],
        { stdio: "ignore" },
      );
    });

    it("answers over TLS 1.2 and later, and nothing older", async () => {
      const tls = await koaServer((ctx) => act(ctx), { tls: { certificate, key } });
      expect(tls.url).to.match(/^https:/);
      const body = await new Promise<string>((resolve, reject) => {
        tlsRequest(`${tls.url}/v1/_ping`, { rejectUnauthorized: false }, (answer) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          answer.on("end", () => {
            resolve(text);
          });
        })
          .on("error", reject)
          .end();
      });
      expect(body).to.equal("path /v1/_ping");
      const old = tlsConnect({
        port: tls.port,
        rejectUnauthorized: false,
        minVersion: "TLSv1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT@SECLEVEL=0",
      });
      const outcome = await new Promise<string>((resolve) => {
        old.once("secureConnect", () => {
          resolve("connected");
        });
        old.once("error", (error: Error) => {
          resolve(error.message);
        });
      });
      expect(outcome).to.match(/protocol|version|alert/i);
      expect(await tls.close(5)).to.equal(0);
    });

    it("cuts connections that never finish their handshake", async () => {
      const tls = await koaServer((ctx) => act(ctx), { tls: { certificate, key }, headerTimeout: 0.1 });
      const connection = await RawConnection.open(tls.port, "\x16\x03");
      await connection.rest();
      expect(await tls.close(5)).to.equal(0);
    });
  });
});
