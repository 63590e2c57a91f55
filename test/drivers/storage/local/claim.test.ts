import { fork, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import type { Claim } from "../../../../src/drivers/storage/claim.ts";
import { local } from "../../../../src/drivers/storage/local.ts";
import { claimFolder } from "../../../../src/drivers/storage/local/claim.ts";
import { accountOf } from "../../../support/account.ts";
import { compiled } from "../../../support/compiled.ts";
import { seededRandom } from "../../../support/random.ts";
import { removeFolder, temporaryFolder, uncovered, until } from "../../../support/program.ts";

const script = new URL("../../../support/claimer.ts", import.meta.url);

/** A process that claims the folder when it is told. */
class Claimer {
  readonly child: ChildProcess;
  readonly messages: Record<string, unknown>[] = [];

  private constructor(folder: string, options: { uid?: number; gid?: number }) {
    const [flag, path] = compiled(script);
    this.child = fork(path, [folder], { execArgv: [flag], env: uncovered(), ...options });
    this.child.on("message", (message) => this.messages.push(message as Record<string, unknown>));
  }

  static async start(folder: string, options: { uid?: number; gid?: number } = {}): Promise<Claimer> {
    const claimer = new Claimer(folder, options);
    await claimer.told("ready");
    return claimer;
  }

  get isExclusive(): boolean {
    return this.messages.findLast((message) => "isExclusive" in message)?.["isExclusive"] === true;
  }

  command(command: string, seed = 0): void {
    this.messages.length = 0;
    this.child.send({ command, seed });
  }

  async told(what: string, seconds?: number): Promise<unknown> {
    const of = (): unknown => this.messages.find((message) => what in message)?.[what];
    await until(`a process to tell ${what}`, () => of() !== undefined, seconds);
    return of();
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }
}

describe("the claim on a local store", function () {
  this.timeout(300_000);
  let folder: string;
  let sockets: string;
  const claimers: Claimer[] = [];
  const claims: Claim[] = [];
  beforeEach(async () => {
    folder = await temporaryFolder();
    sockets = join(folder, "_registryctl/servers");
  });
  afterEach(async () => {
    for (const claimer of claimers.splice(0)) await claimer.kill();
    for (const claim of claims.splice(0)) await claim.release();
    await removeFolder(folder);
  });

  async function start(count: number, options = {}): Promise<readonly Claimer[]> {
    const started = await Promise.all(Array.from({ length: count }, () => Claimer.start(sockets, options)));
    claimers.push(...started);
    return started;
  }

  async function claim(group: string, slot = 0): Promise<Claim> {
    const held = await claimFolder(sockets, { group, slot });
    claims.push(held);
    return held;
  }

  it("is exclusive for one, for none of two, and again for the one that stays", async () => {
    const first = await claim("a");
    const changes: boolean[] = [];
    first.onChange((isExclusive) => void changes.push(isExclusive));
    expect(first).to.include({ isExclusive: true, obstacle: undefined });
    const second = await claim("b");
    expect([first.isExclusive, second.isExclusive, changes]).to.deep.equal([false, false, [false]]);
    await second.release();
    await until("the first to be alone", () => first.isExclusive);
    const third = await claim("c");
    await first.release();
    await until("the third to be alone", () => third.isExclusive);
    expect(changes).to.deep.equal([false, true, false]);
    await third.release();
    expect(await readdir(sockets)).to.deep.equal([]);
  });

  it("is exclusive for all of one group", async () => {
    const [first, second] = [await claim("a", 0), await claim("a", 1)];
    expect([first.isExclusive, second.isExclusive]).to.deep.equal([true, true]);
    await claim("b");
    expect([first.isExclusive, second.isExclusive]).to.deep.equal([false, false]);
  });

  it("answers who comes only when the listeners are done", async () => {
    const first = await claim("a");
    let done = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      first.onChange(async () => {
        resolve();
        await new Promise<void>((finish) => (done = finish));
      });
    });
    const order: string[] = [];
    const coming = [claim("b"), claim("c")].map((claiming) => claiming.then(() => order.push("claimed")));
    await asked;
    // As long as others take, in the same event loop, who are answered at once.
    const elsewhere = join(folder, "elsewhere");
    for (const group of ["d", "e"]) claims.push(await claimFolder(elsewhere, { group, slot: 0 }));
    order.push("forgotten");
    done();
    await Promise.all(coming);
    expect(order).to.deep.equal(["forgotten", "claimed", "claimed"]);
  });

  it("is exclusive for nobody while several processes have come at the same moment", async () => {
    const starters = await start(6);
    for (let round = 0; round < 25; round++) {
      for (const starter of starters) starter.command("claim");
      await Promise.all(starters.map((starter) => starter.told("claimed")));
      await until("all to know of each other", () => !starters.some(({ isExclusive }) => isExclusive));
      const [last, ...others] = round % 2 === 0 ? starters : starters.toReversed();
      for (const other of others) other.command("release");
      await Promise.all(others.map((other) => other.told("released")));
      await until("the last to be alone", () => last!.isExclusive);
      last!.command("release");
      await last!.told("released");
      expect(await readdir(sockets)).to.deep.equal([]);
    }
  });

  it("lets nobody remember what another changes, whoever comes, goes or is killed when", async function () {
    const random = seededRandom(this);
    await mkdir(sockets, { recursive: true });
    await writeFile(join(sockets, "../value"), "nothing yet");
    const visitors = [...(await start(3))];
    const stale: unknown[] = [];
    let relied = 0;
    for (let round = 0; round < 6; round++) {
      for (const visitor of visitors) visitor.command("storm", random(2 ** 31));
      const victim = visitors.pop()!;
      await until("a socket of the victim", async () => (await readdir(sockets)).length > 0);
      await victim.kill();
      const outcomes = await Promise.all(visitors.map((visitor) => visitor.told("remembered", 60)));
      relied += outcomes.reduce<number>((sum, count) => sum + Number(count), 0);
      stale.push(...[victim, ...visitors].flatMap(({ messages }) => messages.filter((message) => "stale" in message)));
      visitors.push(...(await start(1)));
    }
    expect(stale).to.deep.equal([]);
    expect(relied, "how often something was remembered").to.be.greaterThan(50);
  });

  it("is free at once when its process was killed, and what that left is removed", async () => {
    const [victim] = await start(1);
    victim!.command("claim");
    await victim!.told("claimed");
    expect(victim!.isExclusive).to.equal(true);
    await victim!.kill();
    expect(await readdir(sockets)).to.have.length(1);
    const next = await claim("next");
    expect(next.isExclusive).to.equal(true);
    expect(await readdir(sockets)).to.satisfy(
      (names: string[]) => names.length === 1 && names[0]!.startsWith("next.0."),
    );
  });

  it("removes what its own predecessor left, and what was killed while it was made", async () => {
    await claim("other").then(async (other) => {
      await other.release();
    });
    for (const name of ["a.1.dead", "a.2.lives", ".b.0.half", ".b.0.making"]) await writeFile(join(sockets, name), "");
    await utimes(join(sockets, ".b.0.half"), new Date(0), new Date(0));
    await claim("a", 1);
    expect((await readdir(sockets)).map((name) => name.replace(/^a\.1\..*/, "own")).sort()).to.deep.equal(
      [".b.0.making", "a.2.lives", "own"].sort(),
    );
  });

  it("works below a path longer than the address of a socket", async () => {
    sockets = join(folder, "long-".repeat(40), "deeper-".repeat(30), "_registryctl/servers");
    const first = await claim("a");
    expect(first.isExclusive, first.obstacle).to.equal(true);
    const second = await claim("b");
    expect([first.isExclusive, second.isExclusive, second.obstacle]).to.deep.equal([false, false, undefined]);
    await second.release();
    await until("the first to be alone", () => first.isExclusive);
    await first.release();
    expect(await readdir(sockets)).to.deep.equal([]);
  });

  it("is not exclusive, and nothing fails, where nothing can be written; others are told nevertheless", async function () {
    if (process.getuid?.() !== 0) this.skip();
    const first = await claim("a");
    await chmod(folder, 0o755);
    const [reader] = await start(1, await accountOf("nobody"));
    reader!.command("claim");
    await reader!.told("claimed");
    expect([reader!.isExclusive, first.isExclusive]).to.deep.equal([false, false]);
    await reader!.kill();
    await until("the first to be alone", () => first.isExclusive);
  });

  it("is not exclusive below a file, nor where the configuration says that others are at work", async () => {
    await writeFile(join(folder, "file"), "");
    const below = await claimFolder(join(folder, "file/servers"), { group: "a", slot: 0 });
    expect(below.isExclusive).to.equal(false);
    expect(below.obstacle).to.match(/ENOTDIR/);
    await below.release();
    const member = { group: "a", slot: 0 };
    const shared = await local.claim!({ storage_path: folder, shared: true }, member);
    expect(shared).to.include({ isExclusive: false, obstacle: "shared is on" });
    const unaware = await local.claim!({ storage_path: folder }, { ...member, group: "b" });
    expect(unaware.isExclusive).to.equal(false);
    await shared.release();
    await until("the other to be alone", () => unaware.isExclusive);
    await unaware.release();
  });

  it("holds no process up that is done", async () => {
    const code = `
      import { claimFolder } from ${JSON.stringify(new URL("../../../../src/drivers/storage/local/claim.ts", import.meta.url).href)};
      const claim = await claimFolder(${JSON.stringify(sockets)}, { group: "a", slot: 0 });
      console.log(claim.isExclusive);`;
    const { stdout, status } = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], {
      timeout: 60_000,
    });
    expect([String(stdout).trim(), status]).to.deep.equal(["true", 0]);
    expect(await readFile("/proc/net/unix", "utf8")).not.to.include(sockets);
  });
});
