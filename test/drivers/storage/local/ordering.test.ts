import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { KernelOrdering } from "../../../../src/drivers/storage/local/ordering.ts";
import { removeFolder, temporaryFolder } from "../../../support/program.ts";

/** As the C library makes it of 259:3. */
const device = (259 << 8) | 3;

describe("whether a disk keeps the order of names", () => {
  let folder = "";
  let probed = 0;

  beforeEach(async () => {
    folder = await temporaryFolder("ordering");
    await mkdir(join(folder, "sys/dev/block"), { recursive: true });
    await symlink("../../devices/pci0/nvme0n1/nvme0n1p3", join(folder, "sys/dev/block/259:3"));
    probed = 0;
  });

  afterEach(async () => {
    await removeFolder(folder);
  });

  const tells = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };

  const ext4 = async (journal: string, counts?: string): Promise<void> => {
    await tells("sys/fs/ext4/nvme0n1p3/journal_task", journal);
    await tells("proc/fs/ext4/nvme0n1p3/options", "rw\nbarrier\ndata=ordered\n");
    if (counts !== undefined) await tells("proc/fs/ext4/nvme0n1p3/fc_info", counts);
  };

  /** `onProbe` is what a sync does. */
  const asked = async (onProbe?: () => Promise<void>, of = device): Promise<boolean> => {
    const probe = async (): Promise<void> => {
      probed += 1;
      await onProbe?.();
    };
    const known = { device, probe, sys: join(folder, "sys"), proc: join(folder, "proc") };
    return await new KernelOrdering(known).has(of);
  };

  const counts = (commits: number): string => `fc stats:\n${commits} commits\n0 ineligible\n0 numblks\n`;

  it("is so for ext4 with a journal, also seen from where the journal's process is not", async () => {
    for (const journal of ["312\n", "0\n"]) {
      await ext4(journal);
      expect(await asked()).to.equal(true);
    }
    await ext4("312\n", counts(0));
    expect(await asked()).to.equal(true);
    expect(probed).to.be.greaterThan(1);
  });

  it("is so for XFS", async () => {
    await tells("sys/fs/xfs/nvme0n1p3/log/log_head_lsn", "1:2\n");
    expect(await asked()).to.equal(true);
  });

  it("is not so for ext4 without a journal", async () => {
    await ext4("<none>\n", counts(0));
    expect(await asked()).to.equal(false);
  });

  it("is not so for ext4 with fast commits, which their count shows or the options do", async () => {
    await ext4("312\n", counts(0));
    expect(await asked(async () => tells("proc/fs/ext4/nvme0n1p3/fc_info", counts(2)))).to.equal(false);
    await ext4("312\n", counts(0));
    await tells("proc/fs/ext4/nvme0n1p3/options", "rw\nfc_debug_force\n");
    expect(await asked()).to.equal(false);
  });

  it("is not taken for granted where the kernel says nothing, or nothing could be tried", async () => {
    expect(await asked()).to.equal(false);
    await ext4("312\n", counts(0));
    expect(await asked(undefined, device + 1), "another device").to.equal(false);
    expect(await asked(() => Promise.reject(new Error("the disk is full")))).to.equal(false);
    await rm(join(folder, "proc"), { recursive: true });
    expect(await asked()).to.equal(false);
    await ext4("312\n");
    await rm(join(folder, "sys/dev"), { recursive: true });
    expect(await asked()).to.equal(false);
  });
});
