import { Apache, needsApache } from "../support/apache.ts";
import { behavesBehind } from "../support/proxied-registry.ts";

behavesBehind({
  name: "Apache",
  command: "gen-apache",
  offload: "apache_x_sendfile: true",
  header: "x-sendfile",
  needs: needsApache,
  start: async (folder, configuration, ready) => await new Apache(folder).start(configuration, ready),
  // Apache spools nowhere but into memory; that the beginning arrives before the end is sent says the rest.
  spooled: () => Promise.resolve([]),
});
