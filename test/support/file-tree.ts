import { createHash, type Hash } from "node:crypto";
import { posix } from "node:path";
import { Readable } from "node:stream";
import { extract, type Header } from "tar-stream";

/** What stands at one or more paths (hard links) of a tree, with all that an archive says of it. */
interface Inode {
  readonly facts: string;
  readonly isFolder: boolean;
  readonly xattrs: ReadonlyMap<string, string>;
}

/** One entry of a layer, in the order of the archive: a path, and what to do there. */
type Entry = { readonly path: string } & (
  | { readonly kind: "inode"; readonly inode: Inode }
  | { readonly kind: "link"; readonly to: string }
  | { readonly kind: "whiteout" }
  | { readonly kind: "opaque" }
);

/** The files of an image: what its layers, one on top of another, leave. Paths have no slash at either end. */
export class FileTree {
  readonly #inodes = new Map<string, Inode>();

  /** The tree of layers, base first; each is an unpacked tar archive. */
  static async of(layers: Iterable<AsyncIterable<Uint8Array>>): Promise<FileTree> {
    const tree = new FileTree();
    for (const layer of layers) tree.#apply(await entriesOf(layer));
    return tree;
  }

  /** Each path with type, mode, owner, mtime, target or content, extended attributes, and what is the same file. */
  lines(): readonly string[] {
    const paths = [...this.#inodes.keys()].sort();
    const first = new Map<Inode, string>();
    for (const path of paths) {
      const inode = this.#inodes.get(path);
      if (inode && !first.has(inode)) first.set(inode, path);
    }
    return paths.map((path) => {
      const inode = this.#inodes.get(path);
      if (!inode) throw new Error(path);
      const xattrs = [...inode.xattrs].sort();
      const same = first.get(inode) === path ? "" : ` is ${first.get(inode)}`;
      return `${path}: ${inode.facts}${xattrs.map(([name, value]) => ` ${name}=${JSON.stringify(value)}`).join("")}${same}`;
    });
  }

  /** What a layer deletes goes first, wherever its archive says so; the root itself is left out: every engine makes its own. */
  #apply(entries: readonly Entry[]): void {
    for (const { kind, path } of entries) {
      if (kind === "whiteout") this.#remove(path, true);
      if (kind === "opaque") this.#remove(path, false);
    }
    for (const entry of entries) {
      if (entry.kind === "inode") {
        if (!entry.inode.isFolder) this.#remove(entry.path, true);
        this.#inodes.set(entry.path, entry.inode);
      }
      if (entry.kind === "link") {
        const inode = this.#inodes.get(entry.to);
        if (!inode) throw new Error(`${entry.path} is a link to ${entry.to}, which is not there`);
        this.#inodes.set(entry.path, inode);
      }
    }
  }

  #remove(path: string, itself: boolean): void {
    for (const other of [...this.#inodes.keys()]) {
      if ((itself && other === path) || other.startsWith(`${path}/`)) this.#inodes.delete(other);
    }
  }
}

async function entriesOf(layer: AsyncIterable<Uint8Array>): Promise<readonly Entry[]> {
  const archive = Readable.from(layer).pipe(extract());
  const entries: Entry[] = [];
  for await (const entry of archive) {
    const hash = createHash("sha256");
    for await (const chunk of entry as AsyncIterable<Uint8Array>) hash.update(chunk);
    const path = pathOf(entry.header.name);
    if (path !== "") entries.push(entryOf(path, entry.header, hash));
  }
  return entries;
}

function entryOf(path: string, header: Header, content: Hash): Entry {
  const { dir, base } = posix.parse(path);
  if (base === ".wh..wh..opq") return { kind: "opaque", path: dir };
  if (base.startsWith(".wh.")) return { kind: "whiteout", path: posix.join(dir, base.slice(".wh.".length)) };
  if (header.type === "link") return { kind: "link", path, to: pathOf(header.linkname) };
  const { type, mode, uid, gid, mtime, linkname, devmajor, devminor } = header;
  const pax = (header.pax ?? {}) as Readonly<Record<string, string>>;
  const seconds = pax["mtime"] === undefined ? Math.floor(Number(mtime) / 1000) : Number(pax["mtime"]);
  const isDevice = type === "character-device" || type === "block-device";
  const facts = [
    type,
    // The mode of a symbolic link is nowhere kept.
    type === "symlink" ? `to ${linkname}` : (mode & 0o7777).toString(8),
    `${uid}:${gid}`,
    `at ${seconds}`,
    ...(type === "file" ? [`${header.size} bytes ${content.digest("hex").slice(0, 16)}`] : []),
    ...(isDevice ? [`${devmajor}/${devminor}`] : []),
  ].join(" ");
  const marker = "SCHILY.xattr.";
  const xattrs = Object.entries(pax).filter(([keyword]) => keyword.startsWith(marker));
  const inode = {
    facts,
    isFolder: type === "directory",
    xattrs: new Map(xattrs.map(([keyword, value]) => [keyword.slice(marker.length), value])),
  };
  return { kind: "inode", path, inode };
}

function pathOf(name: string): string {
  return posix.normalize(`/${name}`).replace(/^\/|\/$/g, "");
}
