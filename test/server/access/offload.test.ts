import { expect } from "chai";
import type { SettingsInput } from "../../../src/server/config/schema.ts";
import { GoogleServer, googleSettings } from "../../support/gcs-server.ts";
import { basic, guardedRegistry, type GuardedRegistry } from "../../support/guarded-registry.ts";
import { needs } from "../../support/needs.ts";
import { digestOf, pushBlob } from "../../support/oci-image.ts";
import { smallChain } from "../../support/v1-images.ts";

/** A way to let others send what is stored, and the header that says where it is. */
interface Way {
  readonly name: string;
  readonly header: string;
  readonly place: RegExp;
  readonly settings: () => Promise<Partial<SettingsInput>>;
}

/** Whoever has the URL gets the content; in seconds. */
const longestLife = 1200;

describe("what others send in our place", function () {
  this.timeout(180_000);
  let google: GoogleServer | undefined;
  after(async () => {
    await google?.stop();
  });
  const inGoogle = async (): Promise<Partial<SettingsInput>> => {
    google = await GoogleServer.start();
    const { bucket, account } = await google.newStore();
    return { ...googleSettings(google, bucket, account), storage_redirect: true };
  };
  const ways: readonly Way[] = [
    {
      name: "by nginx",
      header: "x-accel-redirect",
      place: /^\/internal\/docker\/registry\/v2\/blobs\//,
      settings: async () => await Promise.resolve({ nginx_x_accel_redirect: "/internal" }),
    },
    {
      name: "by Apache",
      header: "x-sendfile",
      place: /^\/.*\/store\/docker\/registry\/v2\/blobs\//,
      settings: async () => await Promise.resolve({ apache_x_sendfile: true }),
    },
    { name: "by the storage itself", header: "location", place: /^http:.*[?&]X-Goog-Signature=/, settings: inGoogle },
  ];

  for (const { name, header, place, settings } of ways) {
    describe(name, () => {
      const content = Buffer.from("what others send");
      const digest = digestOf(content);
      let server: GuardedRegistry;
      let paths: readonly string[];

      before(async function () {
        needs(this, "openssl");
        const rules = [
          { who: ["reader", "client.test"], repositories: ["team/*"], actions: ["pull" as const] },
          { who: ["writer"], repositories: ["team/*"], actions: ["all" as const] },
          { who: ["other"], repositories: ["other/*"], actions: ["all" as const] },
        ];
        server = await guardedRegistry(["reader", "writer", "other"], rules, await settings());
        const writer = server.connect({ login: "writer:writer-secret" });
        await pushBlob(writer, "team/app", content);
        const [image] = await smallChain(1);
        await writer.push("team/app", "old", [image!]);
        paths = [
          `/v2/team/app/blobs/${digest}`,
          ...["images", "private_images"].map((door) => `/v1/${door}/${image!.id}/layer`),
        ];
      });
      after(async () => {
        await server.close();
      });

      const bearer = async (subject: string, repository: string, seconds = 60) => {
        const scopes = [{ type: "repository", name: repository, actions: ["pull"] }];
        return { Authorization: `Bearer ${await server.token("access", subject, scopes, { seconds })}` };
      };
      const told = async (path: string, headers: Record<string, string>, client = server.client) => {
        const answer = await client.send("GET", path, { headers: { ...headers, "User-Agent": "tests" } });
        return { status: answer.status, where: answer.headers[header], bytes: answer.body.length, answer };
      };

      it("is told to those who may read it, with no byte of it", async () => {
        const allowed = [basic("reader"), basic("writer"), await bearer("reader", "team/app"), {}];
        for (const headers of allowed) {
          const client = "Authorization" in headers ? server.client : server.certified;
          for (const path of paths) {
            if (path.startsWith("/v1") && "Authorization" in headers && headers.Authorization.startsWith("Bearer"))
              continue;
            const { status, where, answer } = await told(path, headers, client);
            expect(status, path).to.equal(header === "location" ? 302 : 200);
            expect(where, path).to.match(place);
            expect(answer.body.includes(content)).to.equal(false);
          }
        }
      });

      it("is told to nobody else", async () => {
        const denied = [
          {},
          basic("reader", "wrong"),
          basic("nobody"),
          basic("other"),
          await bearer("other", "team/app"),
          await bearer("reader", "other/app"),
          await bearer("reader", "team/app", -1),
          await bearer("", "team/app"),
        ];
        for (const headers of denied) {
          for (const path of paths) {
            for (const more of [
              {},
              { Range: "bytes=0-3" },
              { "If-None-Match": `"${digest}"` },
              { "If-Modified-Since": "x" },
            ]) {
              const { status, answer } = await told(path, { ...headers, ...more });
              expect(status, path).to.be.oneOf([401, 403, 404]);
              expect(answer.headers).not.to.have.any.keys("x-accel-redirect", "x-sendfile", "location", "etag");
              expect(answer.body.includes(content)).to.equal(false);
            }
          }
        }
      });

      if (header === "location") {
        it("is behind a URL that soon is worth nothing, that no cache keeps, and that is for it alone", async () => {
          const { where, answer } = await told(paths[0]!, basic("reader"));
          const url = new URL(String(where));
          expect(Number(url.searchParams.get("X-Goog-Expires"))).to.be.within(60, longestLife);
          expect(answer.headers["cache-control"]).to.equal("no-cache");
          expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(content)).to.equal(true);
          url.pathname = url.pathname.replace(/[^/]+\/data$/, `${digestOf("another").slice(7)}/data`);
          expect((await fetch(url)).status).to.equal(403);
        });
      }
    });
  }
});
