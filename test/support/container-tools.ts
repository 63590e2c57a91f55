import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Context } from "mocha";
import { command } from "./command.ts";
import type { FrontedRegistry, Login } from "./fronted-registry.ts";
import { needs } from "./needs.ts";
import { removeFolder, temporaryFolder, until } from "./program.ts";

/** The registry that the tools are to trust. */
type Reached = Pick<FrontedRegistry, "address" | "authority">;

export type ContainerTool = "skopeo" | "podman" | "buildah";

/** As `needs`, for what `ContainerTools` runs: these want to be root, or much more of the machine. */
export function needsContainerTools(context: Context, ...programs: string[]): void {
  needs(context, "unshare", "busybox", ...programs);
  if (process.getuid?.() !== 0) needs(context, "root's rights");
}

/**
 * skopeo, podman and buildah with storage, caches and configuration of their own, so that nothing of the machine's is read
 * or written. They trust the certificate of the registry, if it has one.
 */
export class ContainerTools {
  readonly #folder: string;
  readonly #address: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(folder: string, { address, authority }: Reached) {
    this.#folder = folder;
    this.#address = address;
    this.#env = {
      PATH: process.env["PATH"],
      HOME: folder,
      XDG_RUNTIME_DIR: join(folder, "run"),
      TMPDIR: join(folder, "tmp"),
      CONTAINERS_STORAGE_CONF: join(folder, "storage.conf"),
      CONTAINERS_CONF: join(folder, "containers.conf"),
      BUILDAH_ISOLATION: "chroot",
      ...(authority !== undefined && { SSL_CERT_FILE: authority }),
    };
  }

  /** Makes the folder with the configuration; logs in nowhere. */
  static async create(registry: Reached): Promise<ContainerTools> {
    const { address, authority } = registry;
    const folder = await temporaryFolder("tools");
    for (const name of ["run", "tmp", "var", "files"]) await mkdir(join(folder, name), { mode: 0o700 });
    for (const [name, text] of Object.entries(configuration(folder, address, authority === undefined))) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
    return new ContainerTools(folder, registry);
  }

  async skopeo(...args: readonly string[]): Promise<string> {
    return await this.#run("skopeo", args);
  }

  async podman(...args: readonly string[]): Promise<string> {
    return await this.#run("podman", args);
  }

  /** Runs an image with podman, as far as machines allow it that are containers themselves; answers what it wrote. */
  async podmanRun(name: string): Promise<string> {
    const limits = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"];
    const options = ["-d", "--network", "host", "--cgroups", "enabled", ...limits];
    const container = (await this.podman("--runtime", "runc", "run", ...options, name)).trim();
    // Where nobody reaps what podman leaves behind, it takes the container for running until it is told to clean up.
    await until("the container to end", async () => {
      await this.podman("container", "cleanup", container);
      return (await this.podman("inspect", "-f", "{{.State.Status}}", container)).trim() === "exited";
    });
    const written = await this.podman("logs", container);
    await this.podman("rm", container);
    return written;
  }

  async buildah(...args: readonly string[]): Promise<string> {
    return await this.#run("buildah", args);
  }

  /** Lets one of the tools log in, and with it the others. */
  async login(tool: ContainerTool, { user, password }: Login): Promise<string> {
    return await this.#run(tool, ["login", "-u", user, "--password-stdin", this.#address], password);
  }

  /** Where a file that a test writes goes. */
  path(name: string): string {
    return join(this.#folder, "files", name);
  }

  async remove(): Promise<void> {
    await removeFolder(this.#folder);
  }

  /** Runs it where /var/lib is another folder: that is where root's tools remember which registry has which blob. */
  async #run(program: string, args: readonly string[], input?: string): Promise<string> {
    const script = `mount --bind "$0" /var/lib && exec "$@"`;
    const line = ["--mount", "sh", "-c", script, join(this.#folder, "var"), program, ...args];
    return await command("unshare", line, {
      cwd: this.path(""),
      env: this.#env,
      ...(input !== undefined && { input }),
    });
  }
}

function configuration(folder: string, address: string, insecure: boolean): Readonly<Record<string, string>> {
  return {
    ".config/containers/policy.json": `{ "default": [{ "type": "insecureAcceptAnything" }] }\n`,
    ".config/containers/registries.conf": `unqualified-search-registries = ["${address}"]
[[registry]]
location = "${address}"
insecure = ${insecure}
`,
    "storage.conf": `[storage]
driver = "vfs"
graphroot = "${folder}/storage"
runroot = "${folder}/run/storage"
`,
    "containers.conf": `[containers]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
tmp_dir = "${folder}/run/libpod"
static_dir = "${folder}/libpod"
volume_path = "${folder}/volumes"
`,
  };
}
