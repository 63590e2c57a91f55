import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Context } from "mocha";

const searched = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin", "/usr/lib/postgresql/15/bin"];

/** Where a program lies, or undefined. */
export function findProgram(name: string): string | undefined {
  return searched
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * For `before` hooks: skips the suite, saying so, when one of the programs is not installed; with
 * `REGISTRYCTL_TEST_REQUIRE=all` a missing program is a failure instead. Answers the paths, in order.
 */
export function needs(context: Context, ...programs: string[]): string[] {
  doWithout(context, missingPrograms(programs));
  return programs.map((name) => findProgram(name) ?? name);
}

/** As `needs`, for libraries of Debian's own Python that come without a program. */
export function needsPython(context: Context, ...modules: string[]): void {
  doWithout(context, missingPython(modules));
}

/** Those of the programs that are not installed. */
export function missingPrograms(programs: readonly string[]): readonly string[] {
  return programs.filter((name) => findProgram(name) === undefined);
}

/** The packages of those libraries of Debian's own Python that are not installed. */
export function missingPython(modules: readonly string[]): readonly string[] {
  const missing = modules.filter((name) => !existsSync(join("/usr/lib/python3/dist-packages", name)));
  return missing.map((name) => `python3-${name}`);
}

function doWithout(context: Context, missing: readonly string[]): void {
  if (missing.length === 0) return;
  const message = `${missing.join(", ")} not installed: ${context.test?.parent?.fullTitle() ?? "suite"} needs it`;
  if (process.env["REGISTRYCTL_TEST_REQUIRE"] === "all") throw new Error(message);
  process.stderr.write(`  skipped: ${message}\n`);
  context.skip();
}
