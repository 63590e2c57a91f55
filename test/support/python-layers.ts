import { spawnSync } from "node:child_process";

/**
 * File list and tarsum of a tar archive as Python's own `tarfile` reads it, the way the Python registry made them: the
 * rule that ours is held to.
 */
export function pythonLayer(python: string, archive: string, imageJson: string): { files: string; tarsum: string } {
  const result = spawnSync(python, ["-c", program, archive, imageJson], { maxBuffer: 1024 ** 3 });
  if (result.status !== 0) throw new Error(result.stderr.toString());
  const [files = "", tarsum = ""] = result.stdout.toString().split("\n");
  return { files, tarsum };
}

const program = `
import hashlib, json, math, sys, tarfile

letters = {b"0": "f", b"\\0": "f", b"1": "l", b"2": "s", b"3": "c", b"4": "b", b"5": "d", b"6": "i", b"7": "t", b"S": "S"}

def row(info, name):
    name = "/" if name == "." else "/" + name[2:] if name.startswith("./") else name
    hidden = name.startswith("/.wh.")
    if hidden:
        name = "/" + name[5:]
    if name.startswith("/.wh."):
        return None
    return [name, letters.get(info.type, "u"), hidden, info.size, info.mtime, info.mode, info.uid, info.gid]

def sum_of(info, name, archive):
    raw = lambda text: text.encode("utf-8", "surrogateescape")
    sum = hashlib.sha256()
    sum.update(b"name" + raw(name + "/" if info.isdir() else name))
    for field in ("mode", "uid", "gid", "size"):
        sum.update(b"%s%d" % (field.encode(), getattr(info, field)))
    sum.update(b"mtime%dtypeflag%s" % (math.floor(info.mtime), info.type))
    for field in ("linkname", "uname", "gname"):
        sum.update(field.encode() + raw(getattr(info, field)))
    sum.update(b"devmajor%ddevminor%d" % (info.devmajor, info.devminor))
    if info.isreg() and not info.issparse():
        sum.update(archive.extractfile(info).read())
    return sum.hexdigest()

rows, sums = [], []
with tarfile.open(sys.argv[1], encoding="utf-8", errors="surrogateescape") as archive:
    for info in archive:
        name = info.name.rstrip("/") if info.isdir() else info.name
        rows.append(row(info, name))
        sums.append(sum_of(info, name, archive))
print(json.dumps([row for row in rows if row]))
print("tarsum+sha256:" + hashlib.sha256((sys.argv[2] + "".join(sorted(sums))).encode()).hexdigest())
`;
