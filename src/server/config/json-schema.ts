import { z } from "zod";
import { addedStorages } from "../../drivers/storage/index.ts";
import { settingsSchema } from "./schema.ts";
import { optionsOfAbsentStorages } from "./old-files.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/**
 * The JSON Schema of a configuration file, for editors; for `config schema`. Knows `_env:` and absent values too, and the
 * options of the drivers by others that have been loaded.
 */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  const foreign = [...addedStorages()].map(([name, { options }]) => ({ name, fields: Object.entries(options.shape) }));
  const own = Object.entries(settingsSchema.shape);
  const shape = Object.fromEntries([...own, ...foreign.flatMap(({ fields }) => fields), ...own]);
  const flavor = z.toJSONSchema(z.object(shape), {
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      tidy(jsonSchema);
    },
  });
  const { storage, ...options } = mapped(flavor.properties ?? {}, asWritten);
  const absent: JsonSchema = { description: "Of a storage that is not supported." };
  const others = Object.fromEntries([...optionsOfAbsentStorages].map((name) => [name, absent]));
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of registryctl: a map of flavors",
    type: "object",
    additionalProperties: { $ref: "#/$defs/flavor" },
    $defs: {
      flavor: {
        type: ["object", "null"],
        properties: {
          storage: {
            ...storage,
            anyOf: [
              ...(storage?.anyOf ?? []),
              { enum: foreign.map(({ name }) => name) },
              { type: "string", pattern: modulePattern },
            ],
          },
          ...options,
          ...others,
        },
        additionalProperties: false,
      },
    },
  };
}

/** The driver of somebody else's that is named by a path, or by all of its package's name. */
const modulePattern = "^(\\.{0,2}/|@|registryctl-driver-)|\\.[cm]?[jt]s$";

/** How a value may stand in a file: as itself, as `_env:NAME`, a list as text too, or not at all. */
function asWritten(schema: JsonSchema): JsonSchema {
  if (schema.properties) {
    const properties = mapped(schema.properties, asWritten);
    return { ...schema, type: ["object", "null"], properties, additionalProperties: false };
  }
  const { description, default: value, ...rest } = schema;
  const alternatives = rest.anyOf ?? [rest];
  const takesList = alternatives.some(({ type }) => type === "array");
  return {
    ...(description !== undefined && { description }),
    ...(value !== undefined && { default: value }),
    anyOf: [...alternatives, { type: "string", ...(!takesList && { pattern: "^_env:" }) }, { type: "null" }],
  };
}

function mapped(
  properties: NonNullable<JsonSchema["properties"]>,
  change: (schema: JsonSchema) => JsonSchema,
): Record<string, JsonSchema> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, typeof schema === "boolean" ? {} : change(schema)]),
  );
}

/** Takes out what only this program understands, and what `common` may say in a flavor's place. */
function tidy(schema: JsonSchema): void {
  for (const key of ["env", "secret", "aliases"]) Reflect.deleteProperty(schema, key);
  if (schema.format === "path") delete schema.format;
  if (schema.type === "object") {
    delete schema.required;
    delete schema.default;
  }
}
