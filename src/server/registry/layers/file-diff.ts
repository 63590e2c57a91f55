import { fileRows } from "./file-rows.ts";
import { FileTable, verdicts } from "./file-table.ts";

const chunkLength = 64 * 1024;

/**
 * What a layer's files are to its ancestors', as JSON text `{"deleted": {name: [type, …], …}, "changed": …, "created": …}`.
 * `lists` are file lists as `fileRows` reads them: the layer's own, then its ancestors', the nearest first; they are read
 * no further than needed. The nearest ancestor that has a name decides.
 */
export async function* fileDiff(lists: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const table = await FileTable.create();
  try {
    let current = 1;
    for await (const { list, rows } of fileRows(lists)) {
      if (list !== current && !table.hasUndecided) break;
      current = list;
      if (list === 1) table.add(rows);
      else table.decide(rows, list);
    }
    let text = "{";
    for (const verdict of verdicts) {
      text += `${text === "{" ? "" : "}, "}"${verdict}": {`;
      let separator = "";
      for (const { name, info } of table.files(verdict)) {
        text += `${separator}${name}: ${info}`;
        separator = ", ";
        if (text.length < chunkLength) continue;
        yield Buffer.from(text);
        text = "";
      }
    }
    yield Buffer.from(`${text}}}`);
  } finally {
    table.close();
  }
}
