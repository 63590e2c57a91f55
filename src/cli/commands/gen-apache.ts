import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { command, configOption, flavorOption, forceOption, outputOption, type Context } from "../command.ts";
import { deliver } from "../files.ts";
import { frontEndOptions as shared } from "../front-end.ts";

/** `gen-apache`: a configuration for Apache in front of the registry. */
export function genApache(context: Context): CommandUnknownOpts {
  return command(context, "gen-apache", {
    summary: "write a configuration for Apache in front of the registry",
    description:
      "Writes virtual hosts for Apache 2.4: TLS, passwords, one or several registries behind it, uploads and downloads " +
      "that stream without limit and, with apache_x_sendfile in the configuration, layers that Apache's mod_xsendfile " +
      "sends from local storage by itself.",
    examples: [
      "registryctl gen-apache --server-name registry.example.com --tls-certificate cert.pem --tls-key key.pem",
      "registryctl gen-apache --flavor prod --basic-auth /etc/apache2/registry.htpasswd --output /etc/apache2/sites-available/registry.conf",
      "registryctl gen-apache --upstream 10.0.0.1:5000 --upstream 10.0.0.2:5000",
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
    .addOption(outputOption)
    .addOption(forceOption)
    .action(async (options) => {
      const { terminal, version } = context;
      const [{ frontEnd }, { apacheConfiguration }, { loadFlavor }] = await Promise.all([
        import("../front-end.ts"),
        import("../apache.ts"),
        import("../configuration.ts"),
      ]);
      const { settings, flavor } = await loadFlavor(terminal, options);
      const proxy = frontEnd(settings, options, { cwd: terminal.io.cwd, flavor, version });
      const told = settings.storage === "local" && settings.apache_x_sendfile;
      const text = await apacheConfiguration(proxy, told || options.offload === true);
      await deliver(terminal, text, options);
      for (const note of proxy.notes) await terminal.warn(note);
      if (options.offload && !told)
        await terminal.warn(`set apache_x_sendfile: true in flavor ${flavor}, or Apache will send nothing by itself`);
    });
}
