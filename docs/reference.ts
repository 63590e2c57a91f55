import type { z } from "zod";
import { optionGroups } from "../src/server/config/schema.ts";
import { defaultOf, fieldsOf, isRequired, metaOf, wordsFor } from "../src/server/config/schema-walk.ts";

type Fields = Readonly<Record<string, z.core.$ZodType>>;

const titles: Readonly<Record<keyof typeof optionGroups, string>> = {
  storage: "Storage",
  server: "Server",
  registry: "Registry",
  services: "Services beside the registry",
};

/** The reference of all options, as Markdown. */
export function configurationReference(): string {
  const groups = Object.entries(titles).map(([name, title]) => {
    const fields: Fields = Object.entries(optionGroups).find(([group]) => group === name)?.[1] ?? {};
    return `## ${title}\n\n${tables(fields, "")}`;
  });
  return [introduction, ...groups].join("\n\n") + "\n";
}

const introduction = `# Configuration

This page is generated from the schema; \`registryctl config schema\` prints the same as JSON Schema for editors.

The configuration is a YAML file of _flavors_: maps of options, one for each way to run the registry.

\`\`\`yaml
common:
  loglevel: _env:LOGLEVEL:info
prod:
  storage: local
  storage_path: /var/lib/registry
  http:
    host: 0.0.0.0
\`\`\`

- **The file** is the one that \`--config\` names; else \`DOCKER_REGISTRY_CONFIG\`, absolute or relative to the \`config\` folder;
  else \`config/config.yml\`; else the \`config_sample.yml\` that comes with the program.
- **The flavor** is the one that \`--flavor\` names, else \`SETTINGS_FLAVOR\`, else \`dev\`.
- **\`common\`** is below every flavor: an option that the flavor names replaces what \`common\` says of it, sections as a whole.
  A flavor or section can also include others with YAML's anchors and \`<<\`. A flavor of your own is just another key.
- **\`_env:NAME\`** in place of any value, in lists and maps too, is the value of that environment variable; unset, the option is
  absent. \`_env:NAME:default\` has a default, which may be empty and may contain colons. A variable that is set to nothing makes the
  option absent. Lists and maps are written in one line, \`[a, b]\` and \`{a: b}\`; for a list, \`a, b\` is enough.
- **Variables that begin with \`REGISTRY_\` or \`GUNICORN_\`** below, and those that every program reads its AWS keys from
  (\`AWS_ACCESS_KEY_ID\`, \`AWS_SECRET_ACCESS_KEY\`, \`AWS_SESSION_TOKEN\`), count even if the file doesn't mention them, in the
  order of the table; what the file says wins.
- \`~\` and \`null\` make an option absent. A section without the option that turns it on is off.
- **\`storage\`** may also be the name of a package, or the path of a module, with a driver that somebody else has made; its options then
  stand beside those below ([drivers.md](drivers.md)).
- **Paths** of keys, certificates and modules are relative to the configuration file's folder; \`storage_path\` and SQLite files, to the
  folder that the registry is started in: write them absolute.
- **Nothing is ignored**: unknown options and wrong values are errors, reported all at once by \`registryctl check\`. An option that is
  accepted but changes nothing, such as one of a storage that is not chosen, is a warning.`;

/** A table of the plain options, then one for each section. */
function tables(fields: Fields, prefix: string): string {
  const plain = Object.entries(fields).filter(([, field]) => !fieldsOf(field));
  const rows = plain.map(([name, field]) => row(prefix + name, field));
  const head = "| option | value | default | variable | |\n| --- | --- | --- | --- | --- |";
  const sections = Object.entries(fields).flatMap(([name, field]) => {
    const inside = fieldsOf(field);
    if (!inside) return [];
    return [`### \`${prefix}${name}\`\n\n${metaOf(field).description ?? ""}\n\n${tables(inside, `${prefix}${name}.`)}`];
  });
  return [...(rows.length === 0 ? [] : [[head, ...rows].join("\n")]), ...sections].join("\n\n");
}

function row(key: string, field: z.core.$ZodType): string {
  const { description = "", env = [], secret } = metaOf(field);
  const byDefault = defaultOf(field);
  const cells = [
    `\`${key}\``,
    wordsFor(field),
    byDefault === undefined ? (isRequired(field) ? "required" : "") : `\`${JSON.stringify(byDefault)}\``,
    env.map((name) => `\`${name}\``).join(", "),
    description + (secret ? " Secret." : ""),
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
