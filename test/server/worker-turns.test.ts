import { request } from "node:http";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { TurnTaking, WorkerTurns, type TurnLine, type TurnMessage } from "../../src/server/worker-turns.ts";
import { until } from "../support/program.ts";
import { RegistryProcess } from "../support/registry-process.ts";

describe("turns of workers", () => {
  /** Turns and workers that take them in this process; one that hangs gets its messages and does nothing. */
  function workersOf(count: number, patience?: number, longest?: number) {
    const taking = new TurnTaking(patience);
    return Array.from({ length: count }, () => {
      const told: TurnMessage[] = [];
      const line: TurnLine = {
        send: (message) => {
          told.push(message);
          if (!worker.hangs) worker.turns.receive(message);
        },
        kill: () => {
          worker.end();
        },
      };
      const turns = new WorkerTurns((message) => {
        if (!worker.hangs) taking.receive(line, message);
      }, longest);
      const worker = {
        turns,
        told,
        hangs: false,
        ended: false,
        end: () => {
          Object.assign(worker, { ended: true, hangs: true });
          taking.leave(line);
        },
      };
      return worker;
    });
  }

  /** A task that goes on until it is told to end. */
  function task(log: string[], name: string) {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const run = async (): Promise<string> => {
      log.push(`${name} begins`);
      await ended;
      log.push(`${name} ends`);
      return name;
    };
    return { run, end };
  }

  it("are one at a time for a key, in the order they were asked for, and at once for several", async () => {
    const [one, two] = workersOf(2);
    const log: string[] = [];
    const [a, b, c, other] = ["a", "b", "c", "other"].map((name) => task(log, name));
    const all = [one!.turns.run("key", a!.run), two!.turns.run("key", b!.run), one!.turns.run("key", c!.run), two!.turns.run("else", other!.run)]; // prettier-ignore
    await until("two to begin", () => log.length === 2);
    for (const each of [c, b, a, other]) each!.end();
    expect(await Promise.all(all)).to.deep.equal(["a", "b", "c", "other"]);
    const ofKey = log.filter((line) => !line.startsWith("other"));
    expect(ofKey).to.deep.equal(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
    expect(log.slice(0, 2)).to.have.members(["a begins", "other begins"]);
  });

  it("go on when a task fails", async () => {
    const [one, two] = workersOf(2);
    const failed = one!.turns.run("key", async () => await Promise.reject(new Error("no")));
    const next = two!.turns.run("key", async () => await Promise.resolve(7));
    expect(await failed.catch((error: unknown) => error)).to.have.property("message", "no");
    expect(await next).to.equal(7);
  });

  it("go on when a worker dies that has one or waits for one", async () => {
    const [one, two, three] = workersOf(3);
    const log: string[] = [];
    void one!.turns.run("key", task(log, "a").run);
    void two!.turns.run("key", task(log, "b").run);
    const last = three!.turns.run("key", async () => await Promise.resolve("c"));
    await until("the first to begin", () => log.length === 1);
    two!.end();
    one!.end();
    expect(await last).to.equal("c");
    expect(log).to.deep.equal(["a begins"]);
  });

  it("are taken from a worker that hangs, not from one whose task takes long", async () => {
    const [one, two] = workersOf(2, 20);
    const log: string[] = [];
    const long = task(log, "long");
    const first = one!.turns.run("key", long.run);
    const second = two!.turns.run("key", task(log, "next").run);
    second.catch(() => undefined);
    await until("it to be asked twice", () => one!.told.filter(({ turn }) => turn === "checked").length > 1);
    expect(one!.ended).to.equal(false);
    one!.hangs = true;
    await until("the next to begin", () => log.includes("next begins"));
    expect(one!.ended).to.equal(true);
    long.end();
    expect(await first).to.equal("long");
    two!.end();
  });

  it("are not waited for without end: who waits too long is told to come again, and never begins", async () => {
    const [one, two] = workersOf(2, undefined, 20);
    const log: string[] = [];
    const first = task(log, "first");
    const held = one!.turns.run("key", first.run);
    const late = await two!.turns.run("key", task(log, "late").run).catch((error: unknown) => error);
    expect(late).to.have.property("code", "UNAVAILABLE");
    first.end();
    expect(await held).to.equal("first");
    expect(await two!.turns.run("key", async () => await Promise.resolve("again"))).to.equal("again");
    expect(log).to.deep.equal(["first begins", "first ends"]);
  });
});

describe("V1 with two workers", function () {
  this.timeout(300_000);
  let registry: RegistryProcess;
  before(async () => {
    registry = await RegistryProcess.start(["workers: 2"]);
  });
  after(async () => {
    await registry.remove();
  });

  /** Over a connection of its own: the workers take them in turn. */
  async function put(path: string, body: unknown): Promise<number> {
    return await new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, registry.url), { method: "PUT", agent: false }, (answer) => {
        text(answer).then(() => {
          resolve(answer.statusCode ?? 0);
        }, reject);
      });
      outgoing.on("error", reject).end(JSON.stringify(body));
    });
  }

  it("loses no entry of a list of images that many change at once", async () => {
    for (let round = 0; round < 5; round++) {
      const path = `/v1/repositories/many/round${round}/images`;
      const ids = Array.from({ length: 60 }, (_, at) => `${round}${at}`.padStart(64, "0"));
      expect(await put(path, [{ id: "f".repeat(64) }])).to.equal(204);
      const statuses = await Promise.all(ids.map(async (id) => await put(path, [{ id }])));
      expect(new Set(statuses)).to.deep.equal(new Set([204]));
      const listed = (await (await fetch(new URL(path, registry.url))).json()) as { id: string }[];
      expect(listed.map(({ id }) => id)).to.have.members([...ids, "f".repeat(64)]);
    }
  });
});
