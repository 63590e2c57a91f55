import { expect } from "chai";
import { Announcer, Exchange, type Line } from "../../src/server/worker-coherence.ts";
import { compiled } from "../support/compiled.ts";
import { Program, freePort, removeFolder, temporaryFolder, until } from "../support/program.ts";
import { RawConnection } from "../support/raw-connection.ts";

const script = new URL("../support/serving.ts", import.meta.url);

describe("what workers tell each other", () => {
  type Message = Parameters<Line["send"]>[0];

  /** An exchange and workers that are joined to it in this process; each takes its messages when `deliver` is called. */
  function workersOf(count: number, patience?: number) {
    const exchange = new Exchange(patience);
    return {
      exchange,
      workers: Array.from({ length: count }, () => {
        const inbox: Message[] = [];
        const worker = { inbox, forgotten: [] as unknown[], killed: 0, answers: true };
        const line: Line = {
          send: (message) => {
            inbox.push(message);
            if (worker.answers) announcer.receive(message);
          },
          kill: () => {
            worker.killed += 1;
            exchange.leave(line);
          },
        };
        const announcer = new Announcer((message) => {
          exchange.receive(line, message);
        });
        announcer.listen((keys) => worker.forgotten.push(keys));
        exchange.join(line);
        return Object.assign(worker, { line, announcer });
      }),
    };
  }

  it("are the keys that are announced in one turn, in one message", async () => {
    const [first, second, third] = workersOf(3).workers;
    await Promise.all([["a", "b"], ["b"], ["c"]].map((keys) => first!.announcer.announce(keys)));
    expect(second!.forgotten).to.deep.equal([["a", "b", "c"]]);
    expect(third!.forgotten).to.deep.equal([["a", "b", "c"]]);
    expect(first!.forgotten).to.deep.equal([]);
  });

  it("is only that something changed when the keys are too many", async () => {
    const [first, second] = workersOf(2).workers;
    await first!.announcer.announce(Array.from({ length: 1_001 }, (_, at) => `key ${at}`));
    expect(second!.forgotten).to.deep.equal([undefined]);
  });

  it("goes to nobody where nobody else is", async () => {
    const [only] = workersOf(1).workers;
    await only!.announcer.announce(["a"]);
    expect(only!.forgotten).to.deep.equal([]);
  });

  it("does not wait for one that doesn't answer any more than it is patient: it is killed", async () => {
    const { workers } = workersOf(3, 20);
    const [first, hung, third] = workers;
    hung!.answers = false;
    await first!.announcer.announce(["a"]);
    expect([hung!.killed, third!.killed]).to.deep.equal([1, 0]);
    expect(third!.forgotten).to.deep.equal([["a"], undefined]);
  });

  it("is heard from the moment on at which one joins, and not when it has left", async () => {
    const { exchange, workers } = workersOf(2);
    const [first, second] = workers;
    exchange.leave(second!.line);
    expect(first!.forgotten).to.deep.equal([undefined]);
    await first!.announcer.announce(["a"]);
    exchange.join(second!.line);
    await first!.announcer.announce(["b"]);
    expect(second!.forgotten).to.deep.equal([["b"]]);
  });
});

describe("workers of a server", function () {
  this.timeout(180_000);
  let program: Program;
  let port: number;
  let folder: string;
  /** A connection to each worker, by the number of its process. */
  let connections: Map<number, RawConnection>;

  beforeEach(async () => {
    port = await freePort();
    folder = await temporaryFolder();
    program = await start(port);
    connections = new Map();
    await connect(3);
  });
  afterEach(async () => {
    for (const connection of connections.values()) connection.close();
    await program.stop("SIGKILL");
    await removeFolder(folder);
  });

  async function start(at: number, workers = 3): Promise<Program> {
    const server = new Program(process.execPath, [...compiled(script), String(workers), String(at)], {
      env: { ...process.env, REGISTRYCTL_TEST_CLAIM: folder },
    });
    const listening = () => server.output.split('"msg":"listening on').length > workers;
    return await server.ready("the server", listening);
  }

  /** Connects until each of `count` workers has a connection. */
  async function connect(count: number): Promise<void> {
    await until("a connection to every worker", async () => {
      const connection = await RawConnection.open(port);
      const [, pid] = /pid (\d+)/.exec(await ask(connection, "/")) ?? [];
      if (connections.has(Number(pid))) connection.close();
      else connections.set(Number(pid), connection);
      return connections.size === count;
    });
  }

  function pidOf(connection: RawConnection): number {
    return Number(/pid (\d+)/.exec(connection.received)?.[1]);
  }

  async function ask(connection: RawConnection, path: string): Promise<string> {
    const from = connection.received.length;
    connection.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until(`the answer to ${path}`, () => connection.received.slice(from).endsWith("\n"));
    return connection.received.slice(from);
  }

  async function remembered(connection: RawConnection): Promise<string | undefined> {
    return /remembers (.*)\.$/m.exec(await ask(connection, "/"))?.[1];
  }

  it("forget what another has changed before it goes on, and only that", async () => {
    const [first, second, third] = [...connections.values()];
    for (const connection of connections.values()) {
      for (const word of ["old", "kept"]) await ask(connection, `/remember/${word}`);
    }
    const stopped = pidOf(second!);
    process.kill(stopped, "SIGSTOP");
    const from = first!.received.length;
    first!.send("GET /announce/old HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("the third to forget", async () => (await remembered(third!)) === "kept");
    expect(first!.received.slice(from), "answered before the second could forget").to.equal("");
    process.kill(stopped, "SIGCONT");
    await until("the answer", () => first!.received.slice(from).includes("old announced"));
    expect(await remembered(second!)).to.equal("kept");
    expect(await remembered(first!), "its own memory is its own affair").to.equal("old,kept");
  });

  it("do not wait for one that is killed, and forget all then", async () => {
    const [first, second, third] = [...connections.values()];
    for (const connection of [first!, third!]) await ask(connection, "/remember/kept");
    const victim = pidOf(second!);
    process.kill(victim, "SIGSTOP");
    const from = first!.received.length;
    first!.send("GET /announce/old HTTP/1.1\r\nHost: x\r\n\r\n");
    process.kill(victim, "SIGKILL");
    await until("the answer", () => first!.received.slice(from).includes("old announced"));
    second!.close();
    connections.delete(victim);
    for (const connection of connections.values()) {
      await until("everything to be forgotten", async () => (await remembered(connection)) === "");
    }
    await until("a new worker", () => program.output.split('"msg":"listening on').length > 4);
    await connect(3);
    const added = [...connections.values()].at(-1);
    await ask(added!, "/remember/old");
    await ask(first!, "/announce/old");
    expect(await remembered(added!)).to.equal("");
  });

  it("all forget before another server starts on their store, and are alone again when it has gone", async () => {
    for (const connection of connections.values()) {
      expect(await ask(connection, "/remember/word")).to.include("exclusive true remembers word");
    }
    const other = await start(await freePort(), 2);
    try {
      for (const connection of connections.values()) {
        expect(await ask(connection, "/")).to.include("exclusive false remembers .");
      }
      const warnings = ({ output }: Program) => output.match(/"warn".*another server works on this storage_path/g);
      await until("both to warn", () => warnings(program) && warnings(other));
      expect(warnings(program)).to.have.length(1);
      expect(warnings(other)).to.have.length(1);
      expect(await other.stop()).to.equal(0);
    } finally {
      await other.stop("SIGKILL");
    }
    for (const connection of connections.values()) {
      await until("it to be alone", async () => (await ask(connection, "/")).includes("exclusive true"));
    }
    await until("the log to say so", () => program.output.includes("names are remembered again"));
  });
});
