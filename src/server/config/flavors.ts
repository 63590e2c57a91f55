import { complaintsAbout, type Complaint } from "./complaints.ts";
import type { ConfigFile } from "./config-file.ts";
import { contradictions, doubts } from "./contradictions.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { Environment } from "./environment.ts";
import { complaintsOfDriver, ownValues, type ForeignStorage } from "./foreign-storage.ts";
import { idleAuth } from "./idle-auth.ts";
import { accommodate, optionsOfAbsentStorages, unsupportedFlavors } from "./old-files.ts";
import type { Problem } from "./problem.ts";
import { Reading, type Place, type Stranger } from "./reading.ts";
import { flavorSchema, sectionSwitches, settingsSchema, type Settings } from "./schema.ts";
import { choice } from "./schema-walk.ts";
import { defaultsOfStorage } from "./storages.ts";
import { unused, unusedOfOtherStorages } from "./unused.ts";
import { isNull, type Entry, type Mapping } from "./yaml-tree.ts";

/** A flavor that can be served. */
export interface Loaded {
  /** The path of the configuration file. */
  readonly file: string;
  readonly flavor: string;
  readonly settings: Settings;
  /** Where options come from, by key (`http.port`); an option that is not in here has its default. */
  readonly places: ReadonlyMap<string, Place>;
  /** What works, but hardly as it is meant. */
  readonly warnings: readonly Problem[];
}

/** What a flavor comes to: `loaded` is there when there are no problems. */
export interface Evaluation {
  readonly flavor: string;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly loaded?: Loaded;
}

/** The flavors that a file can be asked for, in its order: all outermost keys but `common`. */
export function flavorNames(file: ConfigFile): readonly string[] {
  return [...file.flavors.keys()].filter((name) => name !== "common");
}

/**
 * Works out one flavor with `common` below it, in an environment. `foreign` is its storage where somebody else has made it.
 * Never throws: what is wrong is in `problems`.
 */
export function evaluate(file: ConfigFile, flavor: string, env: Environment, foreign?: ForeignStorage): Evaluation {
  const missing = whyMissing(file, flavor);
  if (missing) return { flavor, problems: [{ file: file.path, ...missing }], warnings: [] };

  const written = withCommon(file, flavor);
  const driver = foreign && "open" in foreign.driver ? foreign.driver : undefined;
  const { options, ...old } = accommodate(written, env, foreign?.name);
  const reading = new Reading(env);
  const read = reading.object(options, foreign ? flavorSchema(foreign.name) : settingsSchema, []) ?? {};
  const { values, warnings } = withoutIdleSections(read, options);
  const lacksStorage = (foreign && !driver) || old.problems.some(({ key }) => key === "storage");
  const completed = { ...defaultsOfStorage(foreign?.name ?? values["storage"]), ...values };
  const own = driver ? ownValues(driver, completed) : {};
  const parsed = settingsSchema.safeParse({
    ...without(completed, Object.keys(own)),
    ...(foreign || lacksStorage ? { storage: "memory" } : {}),
  });
  const settings = parsed.data && { ...parsed.data, ...(foreign && { storage: foreign.name }), ...own };
  // Of a driver that nobody has loaded, nobody knows the options.
  const strangers = reading.strangers.filter(({ path }) => !foreign || driver || path.length > 1);

  const place = ({ line = written.line, ...rest }: Complaint): Problem => {
    return { file: file.path, flavor, ...(line > 0 && { line }), ...rest };
  };
  const problems = [
    ...old.problems,
    ...strangers.map(unknownKey),
    ...idleAuth(options, values),
    ...complaintsAbout(values, settingsSchema, parsed.error?.issues ?? [], reading.places),
    ...(foreign ? complaintsOfDriver(foreign, values, reading.places) : []),
    ...(settings && !lacksStorage ? contradictions(settings, reading.places) : []),
  ].map(place);
  const doubtful = [
    ...old.warnings,
    ...warnings,
    ...doubts(values, reading.places),
    ...(settings && !lacksStorage ? unused(settings, reading.places) : []),
    ...(settings && !lacksStorage ? unusedOfOtherStorages(written, flavor, settings.storage, env) : []),
  ].map(place);
  const evaluation = { flavor, problems: inOrder(problems), warnings: inOrder(doubtful) };
  if (!settings || problems.length > 0) return evaluation;
  const { places } = reading;
  const loaded = { file: file.path, flavor, settings, places, warnings: evaluation.warnings };
  return { ...evaluation, loaded };
}

/** Why a file can't be asked for a flavor at all. */
function whyMissing(file: ConfigFile, flavor: string): Omit<Problem, "file"> | undefined {
  for (const name of ["common", flavor]) {
    const node = file.flavors.get(name);
    if (node && node.kind !== "map" && !isNull(node)) {
      const remedy = "Write its options below it, each on a line of its own and further in.";
      return { line: node.line, problem: `${name} is no map of options`, remedy };
    }
  }
  if (file.flavors.has(flavor)) return undefined;
  if (unsupportedFlavors.includes(flavor)) {
    return {
      problem: `the flavor ${flavor} is not supported`,
      remedy: "Choose another one with --flavor or SETTINGS_FLAVOR.",
    };
  }
  const names = flavorNames(file);
  return {
    problem: `there is no flavor ${JSON.stringify(flavor.slice(0, 64))}${flavor === "dev" ? ", the one where none is chosen" : ""}`,
    remedy: `${didYouMean(flavor, names)}Choose ${names.join(", ") || "one"} with --flavor or SETTINGS_FLAVOR, or add it to the file.`,
  };
}

function without(values: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(key)));
}

/** A flavor's options, and below them those of `common`: what a flavor says replaces all that `common` says of it. */
export function withCommon(file: ConfigFile, flavor: string): Mapping {
  const [common, own] = ["common", flavor].map((name) => file.flavors.get(name));
  const entries = new Map<string, Entry>();
  for (const node of [common, own]) {
    if (node?.kind === "map") for (const [key, entry] of node.entries) entries.set(key, entry);
  }
  return { kind: "map", entries, line: own?.line ?? 1 };
}

/** Drops the sections that lack what turns them on, with a warning if nobody can have meant that. */
function withoutIdleSections(read: Readonly<Record<string, unknown>>, options: Mapping) {
  const idle = Object.entries(sectionSwitches).filter(([section, keys]) => {
    const value = read[section];
    if (typeof value !== "object" || Array.isArray(value) || value === null) return false;
    return !keys.some((key) => Object.hasOwn(value, key));
  });
  const warnings = idle.flatMap(([section, keys]): Complaint[] => {
    const { value, line } = options.entries.get(section) ?? {};
    if (value?.kind !== "map" || keys.some((key) => value.entries.has(key))) return [];
    const problem = `is off, because it has no ${choice(keys)}`;
    return [{ key: section, line: line ?? 0, problem, remedy: `Add ${choice(keys)}, or remove the section.` }];
  });
  const off = new Set(idle.map(([section]) => section));
  return { values: Object.fromEntries(Object.entries(read).filter(([key]) => !off.has(key))), warnings };
}

/** More than so many unknown keys are no slips; looking for what they mean would take long. */
const suggestionLimit = 100;

function unknownKey({ path, line, known }: Stranger, index: number): Complaint {
  const name = path.at(-1) ?? "";
  const candidates = path.length === 1 ? [...known, ...optionsOfAbsentStorages] : known;
  const meant = index < suggestionLimit ? didYouMean(name, candidates) : "";
  const others = path.length === 1 ? "" : ` Known are ${known.join(", ")}.`;
  return {
    key: path.map((part) => part.slice(0, 64)).join("."),
    line,
    problem: "is no option",
    remedy: `${meant}Correct or remove it.${others}`,
  };
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
}
