import type { StorageDefinition } from "../../drivers/storage/define.ts";
import { complaintsAbout, type Complaint } from "./complaints.ts";
import type { Place } from "./reading.ts";
import { metaOf, schemaAt } from "./schema-walk.ts";

/** The storage of a flavor that is none of ours: the driver that somebody else has made, or why there is none. */
export interface ForeignStorage {
  /** What the settings call it: a path is absolute, whatever the file says. */
  readonly name: string;
  readonly driver: StorageDefinition | Complaint;
}

/** What a driver by others has against its options among `values`, with what it says of them. */
export function complaintsOfDriver(
  { name, driver }: ForeignStorage,
  values: Readonly<Record<string, unknown>>,
  places: ReadonlyMap<string, Place>,
): readonly Complaint[] {
  if ("problem" in driver) return [driver];
  const { options } = driver;
  const issues = options.safeParse(ownValues(driver, values)).error?.issues ?? [];
  const [whole, single] = [
    issues.filter(({ path }) => path.length === 0),
    issues.filter(({ path }) => path.length > 0),
  ];
  const line = places.get("storage")?.line;
  return [
    ...complaintsAbout(values, options, single, places).map((complaint) => {
      const field = schemaAt(options, complaint.key.split("."));
      const { description } = field ? metaOf(field) : {};
      return { ...complaint, remedy: `${complaint.remedy}${description === undefined ? "" : ` ${description}`}` };
    }),
    ...whole.map(({ message }) => ({
      key: "storage",
      ...(line !== undefined && { line }),
      problem: `its options do not go together: ${message}`,
      remedy: `Correct the options of storage ${name}.`,
    })),
  ];
}

/** Those of `values` that are the driver's. */
export function ownValues(
  { options }: StorageDefinition,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => Object.hasOwn(options.shape, key)));
}
