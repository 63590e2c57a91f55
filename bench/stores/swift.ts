import { randomUUID } from "node:crypto";
import { missingPrograms } from "../../test/support/needs.ts";
import { SwiftServer } from "../../test/support/swift.ts";
import { byCurl, curl } from "./curl.ts";
import { asked } from "./asked.ts";
import type { Place, Store } from "./store.ts";

/** OpenStack Swift with users of its own: one device on the disk, all servers in one process. */
export const swift: Store = {
  name: "swift",
  title: "Swift",
  client: curl,
  missing: () => missingPrograms([...SwiftServer.programs, curl]),
  launch: async () => {
    const server = await SwiftServer.launch();
    return {
      url: server.url,
      newPlace: async (folder) => await placeIn(server, folder),
      stop: async () => {
        await server.stop();
      },
    };
  },
};

async function placeIn(server: SwiftServer, folder: string): Promise<Place> {
  const { accessKey: user, secretKey: key } = server.account;
  const { headers } = await asked(server.authUrl, { headers: { "x-auth-user": user, "x-auth-key": key } });
  const [account, token] = [headers.get("x-storage-url") ?? "", headers.get("x-auth-token") ?? ""];
  const name = `bench-${randomUUID()}`;
  const authorized = { headers: { "x-auth-token": token } };
  const [objects, parts] = [`${account}/${name}`, `${account}/${name}_segments`];
  for (const container of [objects, parts]) await asked(container, { method: "PUT", ...authorized });
  const make = async () => {
    const request = { url: `${objects}/${randomUUID()}`, ...authorized };
    return await Promise.resolve({ put: request, get: request });
  };
  return {
    settings: {
      storage: "swift",
      swift_container: name,
      swift_authurl: server.authUrl,
      swift_user: user,
      swift_password: key,
    },
    ...byCurl(folder, make),
    empty: async () => {
      for (const container of [objects, parts]) {
        const listed = await (await asked(container, authorized)).text();
        const names = listed.split("\n").filter((line) => line !== "");
        for (const path of names) await asked(`${container}/${encodeURI(path)}`, { method: "DELETE", ...authorized });
      }
    },
  };
}
