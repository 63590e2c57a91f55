/** The sections of a configuration file in the INI style, as servers of tests read it. */
export type Ini = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;

/** Writes `sections` out. */
export function ini(sections: Ini): string {
  return Object.entries(sections)
    .map(([name, values]) => `[${name}]\n${lines(values)}`)
    .join("\n");
}

function lines(values: Ini[string]): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join("");
}
