import { cp, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { command } from "./command.ts";
import { removeFolder, temporaryFolder } from "./program.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * The folder of an operator who has installed registryctl, from its packed tarball, and the driver of docs/ beside it. The
 * packages that both need are links to those of this project, but for zod, of which it has a copy.
 */
export class DriverProject {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Packs what is built, without building it anew. */
  static async create(): Promise<DriverProject> {
    const project = new DriverProject(await temporaryFolder("driver"));
    const modules = join(project.folder, "node_modules");
    await mkdir(modules);
    const names = (await readdir(join(root, "node_modules"))).filter((name) => name !== "zod");
    await Promise.all(names.map(async (name) => { await symlink(join(root, "node_modules", name), join(modules, name)); })); // prettier-ignore
    await cp(join(root, "node_modules/zod"), join(modules, "zod"), { recursive: true });
    const packed = await command("npm", ["pack", "--ignore-scripts", "--pack-destination", project.folder], {
      cwd: root,
    });
    await command("tar", ["-xzf", packed.trim().split("\n").at(-1) ?? ""], { cwd: project.folder });
    await cp(join(project.folder, "package"), join(modules, "registryctl"), { recursive: true });
    await rm(join(project.folder, "package"), { recursive: true });
    await cp(join(root, "docs/registryctl-driver-redis"), join(modules, "registryctl-driver-redis"), {
      recursive: true,
    });
    return project;
  }

  async remove(): Promise<void> {
    await removeFolder(this.folder);
  }
}
