import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Glance } from "../../test/support/glance.ts";
import { Keystone } from "../../test/support/keystone.ts";
import { missingPrograms, missingPython } from "../../test/support/needs.ts";
import { asked } from "./asked.ts";
import { byCurl, curl } from "./curl.ts";
import type { Place, Store } from "./store.ts";

/** OpenStack Glance, which keeps images in files, with its Keystone; what is no layer lies in a folder. */
export const glance: Store = {
  name: "glance",
  title: "Glance",
  client: curl,
  missing: () => [...missingPython([...Keystone.modules, ...Glance.modules]), ...missingPrograms([curl])],
  launch: async () => {
    const keystone = await Keystone.launch();
    try {
      const server = await Glance.launch(keystone);
      return {
        url: server.url,
        newPlace: async (folder) => await placeIn(server, keystone, folder),
        stop: async () => {
          await server.stop();
          await keystone.stop();
        },
      };
    } catch (error) {
      await keystone.stop();
      throw error;
    }
  },
};

async function placeIn(server: Glance, keystone: Keystone, folder: string): Promise<Place> {
  // A project of its own: everyone sees only the images of their own.
  const user = await keystone.newUser("member", `bench-${randomUUID()}`);
  const token = await keystone.token(user);
  const headers = { "x-auth-token": token };
  const images = `${server.url}/v2/images`;
  const make = async () => {
    const request = {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ name: "bench", container_format: "docker", disk_format: "raw" }),
    };
    const { id } = parseImage(await (await asked(images, request)).json());
    const url = `${images}/${id}/file`;
    return { put: { url, headers: { ...headers, "content-type": "application/octet-stream" } }, get: { url, headers } };
  };
  return {
    settings: {
      storage: "glance",
      storage_alternate: "local",
      storage_path: join(folder, "alternate"),
      swift_authurl: keystone.authUrl,
      swift_user: user.name,
      swift_password: user.password,
      swift_tenant_name: user.project,
    },
    ...byCurl(folder, make),
    empty: async () => {
      for (let all = await listed(images, headers); all.length > 0; all = await listed(images, headers)) {
        for (const { id } of all) await asked(`${images}/${id}`, { method: "DELETE", headers });
      }
    },
  };
}

interface Image {
  readonly id: string;
}

async function listed(url: string, headers: Readonly<Record<string, string>>): Promise<readonly Image[]> {
  return parseImages(await (await asked(url, { headers })).json());
}

function parseImage(body: unknown): Image {
  return body as Image;
}

function parseImages(body: unknown): readonly Image[] {
  return (body as { readonly images: readonly Image[] }).images;
}
