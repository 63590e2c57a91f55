/** One column: its heading, and on which side its texts stand. */
export interface Column {
  readonly heading: string;
  readonly align: "left" | "right";
}

/** Rows of texts in columns that are as wide as they need to be, as Markdown, which reads well as it is. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ heading }, index) =>
    Math.max(3, ...[heading, ...rows.map((row) => row[index] ?? "")].map((text) => text.length)),
  );
  const line = (texts: readonly string[]): string =>
    `| ${columns.map(({ align }, index) => padded(texts[index] ?? "", widths[index] ?? 0, align)).join(" | ")} |`;
  const rule = columns.map(({ align }, index) => {
    const dashes = "-".repeat((widths[index] ?? 0) - (align === "right" ? 1 : 0));
    return align === "right" ? `${dashes}:` : dashes;
  });
  return [line(columns.map(({ heading }) => heading)), `| ${rule.join(" | ")} |`, ...rows.map(line), ""].join("\n");
}

/** A figure with about three digits: 12,345, 123, 12.3, 1.23, 0.012. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function padded(text: string, width: number, align: Column["align"]): string {
  return align === "left" ? text.padEnd(width) : text.padStart(width);
}
