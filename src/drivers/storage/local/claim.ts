import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:fs";
import { lstat, mkdir, open, readdir, rename, rm, statfs, type FileHandle } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Claim, Member } from "../claim.ts";
import { codeOf } from "./failure.ts";

/**
 * Claims what `folder` stands for: it holds a socket of every process that has a claim. Whoever comes puts its own there,
 * looks for others' afterwards, connects to each of them and waits for an answer: of two that come at the same time, at
 * least the one that looks last sees the other. Both hold the connection; while it lasts neither is exclusive. That a
 * process lives is what the kernel says, in other containers of the machine too. Where sockets can't be made, or other
 * machines may be at work, or with an `obstacle`, the claim is not exclusive; it never fails.
 */
export async function claimFolder(folder: string, { group, slot }: Member, obstacle?: string): Promise<Claim> {
  const claim = new FolderClaim(folder, group, slot, obstacle);
  await claim.make();
  return claim;
}

/**
 * The numbers that Linux has for file systems that other machines may have too: nfs, smb, cifs, smb2, fuse, 9p, ceph,
 * afs, lustre, gpfs, ocfs2, gfs2.
 */
const networkFileSystems = [
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997, 0x00c36400, 0x5346414f, 0x0bd00bd0, 0x47504653,
  0x7461636f, 0x01161970,
];
/** In bytes: what the address of a socket holds, but for the zero at its end. */
const longestAddress = 107;
/** How long a process may take to answer, in milliseconds: one that hangs must not keep others from starting. */
const patience = 10_000;
/** Milliseconds after which a socket that still has its hidden name is one whose maker was killed. */
const longestMaking = 60_000;

class FolderClaim implements Claim {
  readonly #folder: string;
  readonly #group: string;
  readonly #slot: number;
  readonly #name: string;
  /** Connections with other processes that have a claim, whoever began them. */
  readonly #others = new Set<Socket>();
  readonly #listeners: ((isExclusive: boolean) => void | Promise<void>)[] = [];
  readonly #server = createServer((socket) => {
    void this.#welcome(socket);
  });
  #handle: FileHandle | undefined;
  #obstacle: string | undefined;
  /** Whether all others know of this claim. */
  #made = false;
  #wasExclusive = false;
  /** Settles when the listeners know what is. */
  #told = Promise.resolve();

  constructor(folder: string, group: string, slot: number, obstacle: string | undefined) {
    this.#folder = folder;
    this.#group = group;
    this.#slot = slot;
    this.#name = `${group}.${slot}.${randomBytes(8).toString("hex")}`;
    this.#obstacle = obstacle;
  }

  get isExclusive(): boolean {
    return this.#made && this.#obstacle === undefined && this.#others.size === 0;
  }

  get obstacle(): string | undefined {
    return this.#obstacle;
  }

  onChange(listener: (isExclusive: boolean) => void | Promise<void>): void {
    this.#listeners.push(listener);
  }

  async make(): Promise<void> {
    await this.#attempt(async () => {
      await mkdir(this.#folder, { recursive: true });
      const { type } = await statfs(this.#folder);
      if (networkFileSystems.includes(type)) this.#obstacle ??= "other machines may write to it";
      this.#handle = await open(this.#folder, constants.O_RDONLY | constants.O_DIRECTORY);
      await this.#show();
    });
    // Also when nobody will see this process: it may change the store nevertheless.
    await this.#attempt(async () => {
      await Promise.all((await readdir(this.#folder)).map((name) => this.#look(name)));
    });
    this.#made = true;
    this.#update();
  }

  async release(): Promise<void> {
    this.#made = false;
    this.#listeners.length = 0;
    await rm(join(this.#folder, this.#name), { force: true }).catch(ignored);
    const closed = this.#server.listening ? once(this.#server, "close") : undefined;
    this.#server.close(ignored);
    for (const socket of this.#others) socket.destroy();
    await closed;
    // The last: until then the way to the socket leads through it.
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#obstacle ??= error instanceof Error ? error.message : String(error);
    }
  }

  /** Lets others see this process. One that sees it can connect: the socket accepts before it has its name. */
  async #show(): Promise<void> {
    const hidden = `.${this.#name}`;
    // Any user who may reach the folder may change the store, and must be able to say so.
    this.#server.listen({ path: this.#address(hidden), exclusive: true, writableAll: true });
    await once(this.#server, "listening");
    this.#server.unref();
    await rename(join(this.#folder, hidden), join(this.#folder, this.#name));
  }

  /** Tells the process behind a name of this one, or removes what it has left. Names are never used again. */
  async #look(name: string): Promise<void> {
    const path = join(this.#folder, name);
    if (name.startsWith(".")) {
      const { mtimeMs } = await lstat(path).catch(() => ({ mtimeMs: Infinity }));
      if (Date.now() - mtimeMs > longestMaking) await rm(path, { force: true });
    } else if (!name.startsWith(`${this.#group}.`)) {
      if (await this.#isDead(name)) await rm(path, { force: true });
    } else if (name.startsWith(`${this.#group}.${this.#slot}.`) && name !== this.#name) {
      // Another had this process's place, so it has ended.
      await rm(path, { force: true });
    }
  }

  /** Resolves when the process behind a name has answered, or does not run; true when it never will again. */
  async #isDead(name: string): Promise<boolean> {
    const socket = connect(this.#address(name));
    this.#keep(socket);
    return await new Promise((resolve) => {
      const timer = setTimeout(resolve, patience, false);
      socket.once("data", () => {
        clearTimeout(timer);
        resolve(false);
      });
      socket.once("error", (error) => {
        if (!["ECONNREFUSED", "ENOENT", "ECONNRESET"].includes(codeOf(error))) {
          this.#obstacle ??= `another server can't be asked: ${error.message}`;
        }
        clearTimeout(timer);
        resolve(codeOf(error) === "ECONNREFUSED");
      });
      socket.once("close", () => {
        clearTimeout(timer);
        resolve(false);
      });
    });
  }

  /** Answers a process that has just claimed the store, when nothing is remembered here any more. */
  async #welcome(socket: Socket): Promise<void> {
    this.#keep(socket);
    await this.#told;
    socket.write("known\n");
  }

  #keep(socket: Socket): void {
    socket.unref();
    this.#others.add(socket);
    this.#update();
    socket.on("error", ignored);
    socket.resume();
    socket.once("close", () => {
      this.#others.delete(socket);
      this.#update();
    });
  }

  #update(): void {
    const { isExclusive } = this;
    if (isExclusive === this.#wasExclusive) return;
    this.#wasExclusive = isExclusive;
    this.#told = this.#told.then(async () => {
      for (const listener of this.#listeners) await listener(isExclusive);
    });
  }

  /** The path of a socket, as short as it has to be: through the open folder where it is too long otherwise. */
  #address(name: string): string {
    const path = join(this.#folder, name);
    if (Buffer.byteLength(path) <= longestAddress || !this.#handle) return path;
    return join("/proc/self/fd", String(this.#handle.fd), name);
  }
}

/** A process that is not there any more needs nothing. */
function ignored(): void {
  // What there is to know of it, its connection's end says.
}
