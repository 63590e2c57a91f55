import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { basename, resolve } from "node:path";
import type { Loaded } from "../../server/index.ts";
import {
  command,
  configOption,
  flavorOption,
  forceOption,
  outputOption,
  wholeNumber,
  type Context,
} from "../command.ts";
import { deliver } from "../files.ts";

interface Flags {
  readonly image: string;
  readonly build?: string | undefined;
  readonly publish?: number | undefined;
  readonly redis?: true | undefined;
  readonly postgres?: true | undefined;
  readonly nginx?: true | undefined;
}

/** `gen-compose`: the registry as a container, with the servers it may want beside it. */
export function genCompose(context: Context): CommandUnknownOpts {
  return command(context, "gen-compose", {
    summary: "write a compose file for containers",
    examples: [
      "registryctl gen-compose --output compose.yml",
      "registryctl gen-compose --build . --postgres --redis --nginx",
      "registryctl gen-compose --config config.yml --flavor prod --publish 443",
    ],
  })
    .addOption(configOption)
    .addOption(flavorOption)
    .option("--image <name>", "image to run, or to build", `registryctl:${context.version}`)
    .option("--build <folder>", "build the image from the Dockerfile in this folder")
    .option("--publish <port>", "port of the host (default: the flavor's; with --nginx none)", wholeNumber(1, 65535))
    .option("--redis", "a Redis beside it, as its cache")
    .option("--postgres", "a PostgreSQL beside it, for the search index")
    .option("--nginx", "an nginx in front of it")
    .addOption(outputOption)
    .addOption(forceOption)
    .action(async (options) => {
      const { terminal, version } = context;
      const [{ fill }, { loadFlavor }, { shippedFolder }] = await Promise.all([
        import("../template.ts"),
        import("../configuration.ts"),
        import("../../server/index.ts"),
      ]);
      const loaded = await loadFlavor(terminal, options);
      const own = !loaded.file.startsWith(shippedFolder);
      const text = await fill("compose.yml", { version, ...project(loaded, options, own) });
      await deliver(terminal, text, options);
      if (own && (options.redis || options.postgres)) {
        await terminal.warn(
          `${loaded.file} must read the variables that the file sets: _env:CACHE_LRU_REDIS_HOST, _env:SQLALCHEMY_INDEX_DATABASE`,
        );
      }
    });
}

const password = "<password>";
const variable = "${POSTGRES_PASSWORD}";

/** `own` is a configuration file of the operator, which the container has to see; else the image's sample is used. */
function project({ file, flavor, settings }: Loaded, flags: Flags, own: boolean) {
  const { shutdown_timeout: stop, port: configured, tls } = settings.http;
  const port = configured === 0 ? 5000 : configured;
  const storage =
    own && settings.storage === "local" ? resolve("/var/lib/registryctl", settings.storage_path) : undefined;
  const data = "/var/lib/registryctl";
  const outside = storage !== undefined && !`${storage}/`.startsWith(`${data}/`);
  const config = `/etc/registryctl/${basename(file)}`;
  const services = [flags.redis && "redis", flags.postgres && "postgres"].filter((name) => typeof name === "string");
  const environment = {
    ...(own && { DOCKER_REGISTRY_CONFIG: config }),
    ...(!own && { STORAGE_PATH: `${data}/storage` }),
    ...(flags.redis && { CACHE_LRU_REDIS_HOST: "redis", CACHE_LRU_REDIS_PORT: "6379" }),
    ...(flags.postgres
      ? {
          SEARCH_BACKEND: "database",
          SQLALCHEMY_INDEX_DATABASE: `postgresql://registry:${password}@postgres:5432/registry`,
        }
      : !own && { SEARCH_BACKEND: "database", SQLALCHEMY_INDEX_DATABASE: `sqlite:///${data}/search.db` }),
  };
  const offload = settings.nginx_x_accel_redirect !== undefined;
  return {
    flavor,
    flavorValue: text(flavor),
    image: text(flags.image),
    build: flags.build !== undefined && text(flags.build),
    port,
    published: flags.publish ?? (flags.nginx ? undefined : port),
    stop: stop + 10,
    environment: Object.entries(environment).map(([name, value]) => ({
      name,
      value: text(value).replace(password, variable),
    })),
    volumes: [
      `data:${data}`,
      ...(outside ? [`${storage}:${storage}`] : []),
      ...(own ? [`${file}:${config}:ro`] : []),
    ].map(text),
    host: outside && { folder: storage },
    healthcheck: text(health(tls ? "https" : "http", port)),
    depends: services.length > 0 && { services: services.map((name) => ({ name })) },
    redis: flags.redis,
    postgres: flags.postgres,
    nginx: flags.nginx && { shared: offload && text(outside ? `${storage}:${storage}:ro` : `data:${data}:ro`) },
    named: { names: ["data", ...(flags.postgres ? ["postgres"] : [])] },
  };
}

/** The probe asks the registry on its own machine, whose certificate is for another name. */
function health(scheme: string, port: number): string {
  const trusting = scheme === "https" ? "process.env.NODE_TLS_REJECT_UNAUTHORIZED = 0; " : "";
  const url = `${scheme}://127.0.0.1:${port}/livez`;
  return `${trusting}fetch('${url}').then(({ok}) => process.exit(ok ? 0 : 1), () => process.exit(1))`;
}

/** JSON text is YAML text; compose takes a dollar sign for a variable. */
function text(value: string): string {
  return JSON.stringify(value.replaceAll("$", "$$$$"));
}
