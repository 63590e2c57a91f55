import { needs } from "../support/needs.ts";
import { Nginx } from "../support/nginx.ts";
import { behavesBehind } from "../support/proxied-registry.ts";

behavesBehind({
  name: "nginx",
  command: "gen-nginx",
  offload: "nginx_x_accel_redirect: /internal",
  header: "x-accel-redirect",
  needs: (context) => needs(context, "nginx", "openssl"),
  start: async (folder, configuration, ready) => await new Nginx(folder).start(configuration, ready),
  spooled: async (folder) => await new Nginx(folder).spooled(),
});
