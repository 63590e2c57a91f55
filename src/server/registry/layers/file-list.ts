import { pythonJson } from "../python-json.ts";
import { pythonFloat, pythonText } from "./python-text.ts";
import { tarEntries, type TarEntry } from "./tar-entries.ts";
import { unsupported } from "./unsupported.ts";

/** What a list of a bomb's names may take on the disk; a million ordinary files take a tenth of it. */
const largestList = 1024 ** 3;

const chunkLength = 64 * 1024;

/**
 * What is in a tar archive as JSON text, byte for byte as the Python registry wrote it: one row
 * `[name, type, is_deleted, size, mtime, mode, uid, gid]` for each entry. Fails with LAYER_UNSUPPORTED.
 */
export async function* fileList(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let text = "[";
  let separator = "";
  let length = 0;
  for await (const entry of tarEntries(archive)) {
    const row = rowOf(entry);
    if (row === undefined) continue;
    text += separator + row;
    separator = ", ";
    if (text.length < chunkLength) continue;
    length += text.length;
    if (length > largestList) throw unsupported(`the list of its files is longer than ${largestList} bytes`);
    yield Buffer.from(text, "latin1");
    text = "";
  }
  yield Buffer.from(`${text}]`, "latin1");
}

const types: Readonly<Record<string, string>> = {
  "0": "f",
  "\0": "f",
  "1": "l",
  "2": "s",
  "3": "c",
  "4": "b",
  "5": "d",
  "6": "i",
  "7": "t",
  S: "S",
};

function rowOf(entry: TarEntry): string | undefined {
  const file = fileNamed(pythonText(entry.name));
  if (!file) return undefined;
  const type = entry.isFolder ? "d" : (types[entry.typeflag] ?? "u");
  const { size, mtime, mode, uid, gid } = entry;
  const time = entry.mtimeIsPax ? pythonFloat(mtime) : mtime;
  return `[${pythonJson(file.name)}, "${type}", ${String(file.isDeleted)}, ${size}, ${time}, ${mode}, ${uid}, ${gid}]`;
}

/** Undefined for what a union file system keeps for itself. Whiteouts count at the top only, as they always have. */
function fileNamed(name: string): { readonly name: string; readonly isDeleted: boolean } | undefined {
  const whiteout = "/.wh.";
  const rooted = name === "." || name === "" ? "/" : name.startsWith("./") ? name.slice(1) : name;
  if (!rooted.startsWith(whiteout)) return { name: rooted, isDeleted: false };
  const hidden = `/${rooted.slice(whiteout.length)}`;
  return hidden.startsWith(whiteout) ? undefined : { name: hidden, isDeleted: true };
}
