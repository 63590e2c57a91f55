/**
 * JSON as Python's `json.dumps(value, sort_keys=True)` writes it: `", "` and `": "` between, keys sorted, everything
 * beyond ASCII escaped. V1 clients and old stores hold documents in this form, and some compare bytes.
 */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, member]) => `${pythonJson(key)}: ${pythonJson(member)}`).join(", ")}}`;
  }
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
