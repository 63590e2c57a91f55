import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { command, configOption, flavorOption, forceOption, outputOption, type Context } from "../command.ts";
import { deliver } from "../files.ts";
import { frontEndOptions as shared } from "../front-end.ts";

/** `gen-nginx`: a configuration for nginx in front of the registry. */
export function genNginx(context: Context): CommandUnknownOpts {
  return command(context, "gen-nginx", {
    summary: "write a configuration for nginx in front of the registry",
    description:
      "Writes what belongs into nginx's http block: TLS, passwords, one or several registries behind it, uploads and " +
      "downloads that stream without limit and, with nginx_x_accel_redirect in the configuration, layers that nginx " +
      "sends from local storage by itself.",
    examples: [
      "registryctl gen-nginx --server-name registry.example.com --tls-certificate cert.pem --tls-key key.pem",
      "registryctl gen-nginx --flavor prod --basic-auth /etc/nginx/registry.htpasswd --output /etc/nginx/conf.d/registry.conf",
      "registryctl gen-nginx --upstream 10.0.0.1:5000 --upstream 10.0.0.2:5000",
    ],
  })
    .addOption(configOption)
    .addOption(flavorOption)
    .addOption(shared.serverName)
    .addOption(shared.listen)
    .addOption(shared.port)
    .addOption(shared.tlsCertificate)
    .addOption(shared.tlsKey)
    .addOption(shared.redirectPort)
    .addOption(shared.basicAuth)
    .addOption(shared.upstream)
    .addOption(shared.offload)
    .option("--legacy-chunkin", "for nginx before 1.3.9 with the chunkin module")
    .addOption(outputOption)
    .addOption(forceOption)
    .action(async (options) => {
      const { terminal, version } = context;
      const [{ frontEnd }, { nginxConfiguration }, { loadFlavor }] = await Promise.all([
        import("../front-end.ts"),
        import("../nginx.ts"),
        import("../configuration.ts"),
      ]);
      const { settings, flavor } = await loadFlavor(terminal, options);
      const proxy = frontEnd(settings, options, { cwd: terminal.io.cwd, flavor, version });
      const told = settings.storage === "local" ? settings.nginx_x_accel_redirect : undefined;
      const location = told ?? (options.offload ? "/internal" : undefined);
      const text = await nginxConfiguration(proxy, { location, legacy: options.legacyChunkin ?? false });
      await deliver(terminal, text, options);
      for (const note of proxy.notes) await terminal.warn(note);
      if (location !== told)
        await terminal.warn(
          `set nginx_x_accel_redirect: ${location ?? ""} in flavor ${flavor}, or nginx will send nothing by itself`,
        );
    });
}
