import { createHash } from "node:crypto";
import { chmod, readdir, stat, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import type { Context } from "mocha";
import { passwordFile, selfSigned, type Certificate } from "./certificate.ts";
import { succeeds } from "./cli.ts";
import { bin, freePort, Program, removeFolder, temporaryFolder, until } from "./program.ts";
import { V1Client, type V1Image } from "./v1-client.ts";
import { describedImage, smallChain } from "./v1-images.ts";

/** A kind of proxy: how its configuration is generated and how it is started in a folder. */
export interface ProxyKind {
  readonly name: string;
  readonly command: "gen-nginx" | "gen-apache";
  /** The option of the flavor that lets it send layers by itself, as YAML. */
  readonly offload: string;
  /** The header that the registry then answers. */
  readonly header: string;
  readonly needs: (context: Context) => void;
  readonly start: (folder: string, configuration: string, ready: () => Promise<unknown>) => Promise<Program>;
  /** Files that hold bodies which were not passed on at once. */
  readonly spooled: (folder: string) => Promise<readonly string[]>;
}

/** Everything that must work through a generated proxy, with a real registry behind it. */
export function behavesBehind(kind: ProxyKind): void {
  describe(`a registry behind ${kind.name}`, function () {
    this.timeout(180_000);
    let folder: string;
    let certificate: Certificate;
    let passwords: string;
    let running: Program[] = [];

    before(async function () {
      kind.needs(this);
      folder = await temporaryFolder();
      // A proxy started by root reads passwords and layers as somebody else.
      await chmod(folder, 0o755);
      certificate = await selfSigned(folder);
      passwords = await passwordFile(folder, "alice", "wonder");
    });
    after(async () => {
      if (folder) await removeFolder(folder);
    });
    afterEach(async () => {
      for (const program of running.reverse()) await program.stop();
      running = [];
    });

    /** Starts a registry as its operator does; answers what a proxy calls it. */
    async function registry(name: string, options: string, host?: string): Promise<string> {
      const port = await freePort();
      const config = join(folder, `${name}.yml`);
      const listen = host === undefined ? `port: ${port}` : `host: "${host}"`;
      await writeFile(
        config,
        `dev: { storage: local, storage_path: ${join(folder, "data")}, loglevel: warn, http: { ${listen}, trusted_proxies: [127.0.0.1] }, ${options} }\n`,
      );
      const program = new Program(process.execPath, [bin, "serve", "--config", config]);
      running.push(program);
      const at = host?.replace(/^unix:/, "");
      await program.ready(
        "the registry",
        async () => (await ping(at === undefined ? { port } : { socketPath: at })) === 200,
      );
      return host ?? `127.0.0.1:${port}`;
    }

    /** Starts the proxy with a generated configuration; answers the port it serves. */
    async function proxy(name: string, ...args: string[]): Promise<number> {
      const [port, redirectPort] = [await freePort(), await freePort()];
      const text = await succeeds(
        [
          kind.command,
          "-c",
          `${name}.yml`,
          "--listen",
          "127.0.0.1",
          "-p",
          String(port),
          "--redirect-port",
          String(redirectPort),
          ...args,
        ],
        { cwd: folder },
      );
      running.push(await kind.start(join(folder, kind.command), text, async () => await accepts(port)));
      return port;
    }
    const tls = () => ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key];
    const trusting = (port: number, basic?: string) =>
      new V1Client(`https://127.0.0.1:${port}`, { ca: certificate.pem, ...(basic !== undefined && { basic }) });

    it("carries pushes and pulls through TLS and passwords, and sends layers by itself, ranges included", async () => {
      const upstream = await registry("offload", kind.offload);
      const client = trusting(await proxy("offload", ...tls(), "-a", passwords), "alice:wonder");
      const images = await smallChain(3, 50_000);
      await client.push("me/app", "v1", images);
      const pulled = await client.pull("me/app", "v1");
      for (const [index, image] of images.entries()) {
        const bytes = await bytesOf(image);
        expect(pulled[index]).to.deep.include({ id: image.id, json: image.json });
        expect(pulled[index]?.layer).to.deep.equal({ size: bytes.length, sha256: sha256(bytes) });
      }

      const [image] = images;
      if (!image) throw new Error("no image");
      const bytes = await bytesOf(image);
      const path = `/v1/images/${image.id}/layer`;
      const direct = await new V1Client(`http://${upstream}`).send("GET", path);
      expect(direct.headers).to.include.keys(kind.header);
      expect(direct.body).to.have.length(0);
      for (const [range, start, end] of [
        ["bytes=0-9", 0, 10],
        ["bytes=100-", 100, bytes.length],
        [`bytes=100-${bytes.length}`, 100, bytes.length],
        [`bytes=${bytes.length - 1}-`, bytes.length - 1, bytes.length],
        ["bytes=7-7", 7, 8],
      ] as const) {
        const part = await client.send("GET", path, { headers: { Range: range } });
        expect(part.status, range).to.equal(206);
        expect(part.body.equals(bytes.subarray(start, end)), range).to.be.true;
        expect(part.headers["content-range"]).to.equal(`bytes ${start}-${end - 1}/${bytes.length}`);
      }
      const beyond = await client.send("GET", path, { headers: { Range: `bytes=${bytes.length}-` } });
      expect(beyond.status).to.equal(416);

      const whole = await client.send("GET", path);
      expect(whole.headers).not.to.include.keys(kind.header);
      expect(whole.headers).to.include({
        "content-type": "application/octet-stream",
        "content-length": String(bytes.length),
        "accept-ranges": "bytes",
        "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT",
      });
      expect(whole.headers["cache-control"]).to.equal("public, max-age=31536000");
      for (const name of ["x-docker-registry-version", "x-docker-registry-config"]) {
        expect(whole.headers[name], name).to.be.a("string").and.equal(direct.headers[name]);
      }
      const head = await client.send("HEAD", path);
      expect(head.headers["content-length"]).to.equal(String(bytes.length));
    });

    it("sends nothing from storage to who asks for the internal place", async () => {
      await registry("internal", kind.offload);
      const client = trusting(await proxy("internal", ...tls()));
      const [image] = await smallChain(1);
      if (!image) throw new Error("no image");
      await client.push("me/internal", "v1", [image]);
      for (const path of [
        "/internal/",
        `/internal/images/${image.id}/json`,
        `${folder}/data/images/${image.id}/json`,
      ]) {
        expect((await client.send("GET", path)).status, path).to.equal(404);
      }
    });

    it("asks for a password everywhere but at the ping, and tells clients of V2 that it speaks that", async () => {
      await registry("auth", kind.offload);
      const port = await proxy("auth", ...tls(), "-a", passwords);
      const stranger = trusting(port);
      for (const path of ["/_ping", "/v1/_ping"]) expect((await stranger.send("GET", path)).status, path).to.equal(200);
      for (const path of ["/", "/v1/search?q=x", "/v1/repositories/me/app/tags", "/v2/", "/_ping/x"]) {
        const refused = await stranger.send("GET", path);
        expect(refused.status, path).to.equal(401);
        expect(refused.headers["www-authenticate"], path).to.match(/^Basic realm=/);
      }
      expect((await trusting(port, "alice:wrong").send("GET", "/v1/search?q=x")).status).to.equal(401);
      expect((await trusting(port, "alice:wonder").send("GET", "/v1/search?q=x")).status).to.equal(200);

      const version = async (userAgent: string) => {
        const client = new V1Client(`https://127.0.0.1:${port}`, { ca: certificate.pem, userAgent });
        return (await client.send("GET", "/v2/")).headers["docker-distribution-api-version"];
      };
      expect(await version("docker/24.0.5 go/go1.20")).to.equal("registry/2.0");
      expect(await version("docker/1.10.3 go/go1.5")).to.equal("registry/2.0");
      expect(await version("docker/1.9.1 go/go1.4")).to.equal(undefined);
      expect(await version("Go 1.1 package http")).to.equal(undefined);
      const search = await stranger.send("GET", "/v1/search?q=x");
      expect(search.headers).not.to.include.keys("docker-distribution-api-version");
    });

    it("sends plain requests on to HTTPS", async () => {
      await registry("redirect", "debug: false");
      const [port, redirectPort] = [await freePort(), await freePort()];
      const args = ["--listen", "127.0.0.1", "-p", String(port), "--redirect-port", String(redirectPort), ...tls()];
      const text = await succeeds([kind.command, "-c", "redirect.yml", ...args], { cwd: folder });
      running.push(await kind.start(join(folder, kind.command), text, async () => await accepts(port)));
      const answer = await new V1Client(`http://127.0.0.1:${redirectPort}`).send("PUT", "/v1/x?y=z", {
        headers: { Host: "localhost" },
      });
      expect(answer.status).to.equal(308);
      expect(answer.headers.location).to.equal(`https://localhost:${port}/v1/x?y=z`);
    });

    it("passes a chunked upload of 300 MB on while it comes, without keeping any of it", async function () {
      this.timeout(300_000);
      await registry("stream", "debug: false");
      const client = trusting(await proxy("stream", ...tls()));
      const data = join(folder, "data");
      const before = await sizeOf(data);
      const chunk = Buffer.alloc(1024 * 1024, "0123456789abcdef");
      const [ahead, count] = [20, 300];
      let arrived = 0;
      const spooled: string[] = [];
      const image = describedImage(sha256(Buffer.from(kind.name)), chunk.length * count, async function* () {
        for (let index = 0; index < count; index++) {
          if (index === ahead) {
            // Only a proxy that has not waited for the end can have passed anything on by now.
            arrived = await until("the registry to get the beginning", async () => {
              const size = (await sizeOf(data)) - before;
              return size > 5 * chunk.length ? size : undefined;
            });
          }
          if (index % 50 === 0) spooled.push(...(await kind.spooled(join(folder, kind.command))));
          yield chunk;
        }
      });
      await client.push("me/large", "v1", [image]);
      expect(arrived)
        .to.be.greaterThan(5 * chunk.length)
        .and.below((ahead + 1) * chunk.length);
      spooled.push(...(await kind.spooled(join(folder, kind.command))));
      const [pulled] = await client.pull("me/large", "v1");
      const hash = createHash("sha256");
      for (let index = 0; index < count; index++) hash.update(chunk);
      expect(pulled?.layer).to.deep.equal({ size: chunk.length * count, sha256: hash.digest("hex") });
      spooled.push(...(await kind.spooled(join(folder, kind.command))));
      expect(spooled).to.deep.equal([]);
    });

    it("goes on with one registry of several when the other is gone", async () => {
      const alive = await registry("several", "debug: false");
      const dead = `127.0.0.1:${await freePort()}`;
      const port = await proxy("several", "--upstream", dead, "--upstream", alive);
      const client = new V1Client(`http://127.0.0.1:${port}`);
      const images = await smallChain(2);
      await client.push("me/several", "v1", images);
      expect(await client.pull("me/several", "v1")).to.have.length(2);
    });

    it("passes URLs and the host on as the client wrote them", async () => {
      const direct = new V1Client(`http://${await registry("urls", "debug: false")}`);
      const port = await proxy("urls");
      const proxied = new V1Client(`http://127.0.0.1:${port}`);
      const put = { headers: { "Content-Type": "application/json" }, body: Buffer.from("[]") };
      const index = await proxied.send("PUT", "/v1/repositories/me/urls/", put);
      expect(index.status).to.equal(200);
      expect(index.headers["x-docker-endpoints"]).to.equal(`127.0.0.1:${port}`);
      for (const path of [
        "/v1/repositories/me%2Furls/tags",
        "/v1/repositories/me/sp%20a+ce%2Fx/tags/%25",
        "/v1/repositories/%E9/x/tags",
        "/v1/search?q=a%2Bb%20c&q=%2F",
        "//v1/_ping",
      ]) {
        const [expected, answer] = [await direct.send("GET", path), await proxied.send("GET", path)];
        expect([answer.status, answer.body.toString()], path).to.deep.equal([
          expected.status,
          expected.body.toString(),
        ]);
      }
    });

    it("reaches a registry on a socket", async () => {
      await registry("socket", "debug: false", `unix:${join(folder, "registry.sock")}`);
      const client = new V1Client(`http://127.0.0.1:${await proxy("socket")}`);
      const images = await smallChain(1);
      await client.push("me/socket", "v1", images);
      expect(await client.pull("me/socket", "v1")).to.have.length(1);
    });
  });
}

async function bytesOf({ layer }: V1Image): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of layer()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function ping(where: { port: number } | { socketPath: string }): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    httpRequest({ host: "127.0.0.1", path: "/v1/_ping", ...where }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .once("error", reject)
      .end();
  });
}

/** Whether something listens on the port; asked by trying to listen there too. */
async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createTcpServer()
      .once("error", () => {
        resolve(true);
      })
      .listen(port, "127.0.0.1", () => {
        server.close(() => {
          resolve(false);
        });
      });
  });
}

/** The bytes of all files below a folder; files may vanish while it looks. */
async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const found = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
        return found?.size ?? 0;
      }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
