import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { command } from "../../../support/command.ts";
import { compiled } from "../../../support/compiled.ts";
import { needs } from "../../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../../support/program.ts";

const writer = new URL("../../../support/steps-writer.ts", import.meta.url);

/** A system call, from where to where in the record; what it was done to, below the store. */
interface Call {
  readonly name: string;
  readonly target: string;
  readonly start: number;
  readonly end: number;
}

/** The calls between the lines `begun` and `answered`. A call during which others were made has two lines in the record. */
function callsOf(record: string, root: string): readonly Call[] {
  const calls: Call[] = [];
  const open = new Map<string, Call>();
  for (const [index, line] of record.split("\n").entries()) {
    const [, thread = "", rest = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const begun = open.get(thread);
    if (rest.startsWith("<...") && begun) {
      calls.push({ ...begun, end: index });
      open.delete(thread);
      continue;
    }
    const [, name = "", text = ""] = /^(\w+)\((.*)$/.exec(rest) ?? [];
    const paths = [...text.replace("<unfinished", "").matchAll(/[<"]([^<">]*)[>"]/g)].map(([, path = ""]) =>
      path.replace(`${root}/`, ""),
    );
    const target = (name.startsWith("rename") ? paths.at(-1) : name === "write" ? text : paths[0]) ?? "";
    const call = { name, target, start: index, end: index };
    if (rest.includes("<unfinished")) open.set(thread, call);
    else calls.push(call);
  }
  const at = (text: string): number => calls.find((call) => call.target.includes(text))?.start ?? NaN;
  return calls.filter(({ start, end }) => start > at("begun\\n") && end <= at("answered\\n"));
}

describe("a write in steps to a local store", function () {
  this.timeout(180_000);
  let folder = "";

  before(async function () {
    needs(this, "strace");
    folder = await temporaryFolder("in-steps");
  });

  after(async () => {
    await removeFolder(folder);
  });

  const watched = async (disk: string) => {
    const [root, record] = [join(folder, disk), join(folder, `${disk}.strace`)];
    const traced = ["rename", "fsync", "fdatasync", "utimensat", "write"].join(",");
    await command("strace", ["-f", "-y", "-o", record, "-e", `trace=${traced}`, process.execPath, ...compiled(writer), root, disk]); // prettier-ignore
    const calls = callsOf(await readFile(record, "utf8"), root);
    const of = (name: string): readonly Call[] => calls.filter((call) => call.name === name);
    const renamed = (target: string): Call => {
      const found = of("rename").find((call) => call.target === target);
      if (!found) throw new Error(`${target} was not named`);
      return found;
    };
    return { of, renamed };
  };

  const contentFirst = ({ of }: Awaited<ReturnType<typeof watched>>): void => {
    const named = Math.min(...of("rename").map(({ start }) => start));
    const contents = of("fdatasync").filter(({ end }) => end < named);
    expect(contents).to.have.length(4);
  };

  it("waits once for all names where the disk keeps their order: after the last was given", async () => {
    const seen = await watched("ordered");
    contentFirst(seen);
    const { of, renamed } = seen;
    const [content, link, tag] = [
      renamed("blobs/new/data"),
      renamed("revisions/new/link"),
      renamed("tags/current/link"),
    ];
    expect(content.end).to.be.lessThan(link.start);
    expect(link.end).to.be.lessThan(Math.min(tag.start, renamed("tags/index/new/link").start));
    const last = Math.max(...of("rename").map(({ end }) => end));
    expect(of("fsync")).to.have.length(1);
    const [[touch], [sync]] = [of("utimensat"), of("fsync")];
    expect(sync?.target).to.equal(touch?.target);
    expect(touch?.start).to.be.greaterThan(last);
    expect(sync?.start).to.be.greaterThan(touch?.end ?? Infinity);
  });

  it("syncs each folder elsewhere, and gives the last names when the others are on the disk", async () => {
    const seen = await watched("unordered");
    contentFirst(seen);
    const { of, renamed } = seen;
    const tag = Math.min(renamed("tags/current/link").start, renamed("tags/index/new/link").start);
    const synced = (from: number, to: number): string[] =>
      of("fsync")
        .filter(({ start, end }) => start > from && end < to)
        .map(({ target }) => target);
    const others = Math.max(renamed("blobs/new/data").end, renamed("revisions/new/link").end);
    expect(synced(others, tag)).to.include.members(["blobs", "blobs/new", "revisions", "revisions/new"]);
    const last = Math.max(...of("rename").map(({ end }) => end));
    expect(synced(last, Infinity)).to.have.members(["tags", "tags/current", "tags/index", "tags/index/new"]);
  });
});
