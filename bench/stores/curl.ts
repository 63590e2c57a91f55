import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { BlobSeries } from "../load/blob-series.ts";
import type { Place } from "./store.ts";

/** The name of the contestant. */
export const curl = "curl";

/** A request that curl makes as it is. */
export interface Request {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A new object: where its bytes go, and where they are read from. */
export interface NewObject {
  readonly put: Request;
  readonly get: Request;
}

/**
 * How curl alone uses a place whose objects `make` begins: each is stored by one request from a file in `folder`. Its
 * clock starts when it connects, and stops when it has all of the answer.
 */
export function byCurl(folder: string, make: () => Promise<NewObject>): Pick<Place, "put" | "get"> {
  const requests = new Map<string, Request>();
  return {
    put: async (_load, size) => {
      const file = await contentOf(folder, size);
      const { put, get } = await make();
      // Without an empty `Expect` curl waits for the server's leave.
      const [seconds = 0] = await answered(put, ["--upload-file", file, "--header", "Expect:"], 1, {
        size,
        sent: true,
      });
      const object = randomUUID();
      requests.set(object, get);
      return { result: { bytes: size, seconds, object } };
    },
    get: async (_load, { object, times, length }) => {
      const request = requests.get(object);
      if (!request) throw new Error(`there is no object ${object}`);
      const seconds = await answered(request, [], times, { size: length, sent: false });
      return { result: { bytes: times * length, seconds: seconds.reduce((sum, each) => sum + each, 0) } };
    },
  };
}

/** A file of so many bytes that is made once. */
async function contentOf(folder: string, size: number): Promise<string> {
  const file = join(folder, `content-${size}`);
  try {
    await access(file);
  } catch {
    await writeFile(file, new BlobSeries(size).next().chunks());
  }
  return file;
}

/** Makes the request some times over one connection; answers the seconds of each. */
async function answered(
  { url, headers = {} }: Request,
  options: readonly string[],
  times: number,
  { size, sent }: { readonly size: number; readonly sent: boolean },
): Promise<readonly number[]> {
  const format = `%{http_code} %{size_${sent ? "upload" : "download"}} %{time_total}\\n`;
  const lines = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
  const urls = Array.from({ length: times }, () => ["--output", "/dev/null", url]).flat();
  const args = ["--silent", "--show-error", "--write-out", format, ...lines, ...options, ...urls];
  const { stdout } = await promisify(execFile)("curl", args);
  return stdout
    .trim()
    .split("\n")
    .map((line) => {
      const [status = 0, bytes = 0, seconds = 0] = line.split(" ").map(Number);
      if (status < 200 || status > 299 || bytes !== size) throw new Error(`curl ${url}: ${status}, ${bytes} bytes`);
      return seconds;
    });
}
