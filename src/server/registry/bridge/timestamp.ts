import { numberText } from "./exact-json.ts";

const form = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)? ?(.*)$/;
const utc = /^(?:|[Zz]|UTC|GMT)$/;
const offset = /^([+-]\d\d):?(\d\d)(?: [A-Z]{1,5})?$/;
/** The end of the year 9999, the last of four digits. */
const latestSecond = 253_402_300_799;

/**
 * When an image was made, as RFC 3339 has it: what is that already stays as it is, a fraction finer than nanoseconds is
 * cut, times without a zone are UTC, and whole seconds since 1970 are written out. Undefined for what is no time.
 */
export function timestamp(value: unknown): string | undefined {
  const seconds = numberText(value);
  if (seconds !== undefined) return ofSeconds(seconds);
  const [, date = "", time = "", fraction = "", rest = ""] =
    form.exec(typeof value === "string" ? value.trim() : "") ?? [];
  const zone = zoneOf(rest);
  if (!isDate(date) || !isTime(time) || zone === undefined) return undefined;
  return `${date}T${time}${fraction === "" ? "" : `.${fraction}`}${zone}`;
}

function zoneOf(text: string): string | undefined {
  if (utc.test(text)) return "Z";
  const [, hours = "", minutes = ""] = offset.exec(text) ?? [];
  return isTime(`${hours.slice(1)}:${minutes}:00`) ? `${hours}:${minutes}` : undefined;
}

function ofSeconds(text: string): string | undefined {
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds > latestSecond) return undefined;
  return new Date(seconds * 1000).toISOString().replace(".000", "");
}

/** Date moves the 31st of a month that has none into the next. */
function isDate(date: string): boolean {
  const parsed = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
}

function isTime(time: string): boolean {
  return /^(?:[01]\d|2[0-3])(?::[0-5]\d){2}$/.test(time);
}
