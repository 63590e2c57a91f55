import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { command } from "./command.ts";
import { removeFolder, temporaryFolder } from "./program.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const driver = join(root, "docs/registryctl-driver-redis");

/**
 * The folder of an operator who has installed the packages of registryctl and of the driver of docs/, each from its tarball,
 * and what the driver's author tests it with.
 */
export class DriverProject {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Packs what is built, without building it anew, and installs it with npm, from its cache as far as that goes. */
  static async create(): Promise<DriverProject> {
    const project = new DriverProject(await temporaryFolder("driver"));
    try {
      await project.#install();
    } catch (error) {
      await project.remove();
      throw error;
    }
    return project;
  }

  async remove(): Promise<void> {
    await removeFolder(this.folder);
  }

  async #install(): Promise<void> {
    const { folder } = this;
    await writeFile(join(folder, "package.json"), '{"private": true}');
    const packing = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder, root, driver];
    const packed = JSON.parse(await command("npm", packing, { cwd: folder })) as readonly {
      readonly filename: string;
    }[];
    const { devDependencies } = JSON.parse(await readFile(join(driver, "package.json"), "utf8")) as {
      readonly devDependencies: Readonly<Record<string, string>>;
    };
    const packages = [
      ...packed.map(({ filename }) => join(folder, filename)),
      ...Object.entries(devDependencies).map(([name, version]) => `${name}@${version}`),
    ];
    const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--no-progress"];
    await command("npm", ["install", ...quiet, ...packages], { cwd: folder });
  }
}
