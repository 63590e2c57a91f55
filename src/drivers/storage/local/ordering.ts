import { readdir, readFile, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { codeOf } from "./failure.ts";

/** Says of a device, as stat(2) has it, whether it gets all changes of names strictly in their order. Never rejects. */
export interface Ordering {
  has(device: number): Promise<boolean>;
}

/** What is to be known of a device. */
export interface OrderedDevice {
  readonly device: number;
  /** Brings a new file to its disk. */
  readonly probe: () => Promise<void>;
  /** Where the kernel tells of itself, if not at /sys and /proc. */
  readonly sys?: string;
  readonly proc?: string;
}

/** The first sync after a mount is never a fast commit, and one that meets another's may not count. */
const probes = 4;

/**
 * Whether one device's file system writes all changes of names to a journal, one transaction after the other, so that whoever
 * waits for one change has waited for all before it: ext4 with a journal (also as the driver of ext3), and XFS. What can't be
 * told for sure does not. The kernel's own account is asked, since ext4 without a journal has the same number in statfs(2)
 * and the same name among the mounts.
 */
export class KernelOrdering implements Ordering {
  readonly #known: OrderedDevice;
  #answer: Promise<boolean> | undefined;

  constructor(known: OrderedDevice) {
    this.#known = known;
  }

  async has(device: number): Promise<boolean> {
    if (device !== this.#known.device) return false;
    return await (this.#answer ??= this.#ask().catch(() => false));
  }

  async #ask(): Promise<boolean> {
    const { device, sys = "/sys" } = this.#known;
    const name = basename(await readlink(join(sys, "dev/block", numbersOf(device))));
    const journal = await ifPresent(join(sys, "fs/ext4", name, "journal_task"));
    if (journal === undefined) return (await readdir(join(sys, "fs/xfs", name))).includes("log");
    // The process that writes the journal (0 where that is out of sight), or `<none>`.
    return /^\d+$/.test(journal.trim()) && !(await this.#commitsFast(name));
  }

  /**
   * Whether ext4's fast commits are on, which bring some changes to the disk before others. Only their count tells everywhere,
   * so files are written that would be counted.
   */
  async #commitsFast(name: string): Promise<boolean> {
    const { probe, proc = "/proc" } = this.#known;
    const options = await readFile(join(proc, "fs/ext4", name, "options"), "latin1");
    if (/^(fast_commit|fc_debug_force)$/m.test(options)) return true;
    const counts = join(proc, "fs/ext4", name, "fc_info");
    // Kernels that don't count don't have them.
    if ((await ifPresent(counts)) === undefined) return false;
    for (let turn = 0; turn < probes; turn++) await probe();
    return !/^0 commits\n0 ineligible$/m.test(await readFile(counts, "latin1"));
  }
}

async function ifPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** `major:minor`, out of the bits that the C library lays them in. */
function numbersOf(device: number): string {
  const bits = BigInt(device);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
