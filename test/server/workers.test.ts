import { expect } from "chai";
import { compiled } from "../support/compiled.ts";
import { Program, freePort, until } from "../support/program.ts";
import { RawConnection } from "../support/raw-connection.ts";

const script = new URL("../support/serving.ts", import.meta.url);

describe("runServer", function () {
  this.timeout(180_000);
  const programs: Program[] = [];
  let port: number;

  beforeEach(async () => {
    port = await freePort();
  });

  afterEach(async () => {
    for (const program of programs.splice(0)) await program.stop("SIGKILL");
  });

  function start(workers: number | "auto", options: { fault?: string; shutdownTimeout?: number } = {}): Program {
    const args = [...compiled(script), String(workers), String(port), String(options.shutdownTimeout ?? 60)];
    const env = { ...process.env, REGISTRYCTL_TEST_FAULT: options.fault };
    const program = new Program(process.execPath, args, { env });
    programs.push(program);
    return program;
  }

  const count = (program: Program, text: string): number => program.output.split(text).length - 1;

  async function serving(program: Program, workers: number): Promise<void> {
    await program.ready("the server", () => count(program, '"msg":"listening on') >= workers);
    await until("the address", () => program.output.includes(`serving http://127.0.0.1:${port}\n`));
  }

  /** Asks on new connections until every one of `workers` processes has answered; maps ids of processes to answers. */
  async function askAll(workers: number): Promise<Map<number, string>> {
    const answers = new Map<number, string>();
    await until("an answer of every worker", async () => {
      const text = await ask("/");
      answers.set(Number(/pid (\d+)/.exec(text)?.[1]), text);
      return answers.size === workers;
    });
    return answers;
  }

  async function ask(path: string): Promise<string> {
    const connection = await RawConnection.open(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    return await connection.rest();
  }

  for (const workers of [1, 2] as const) {
    describe(`with ${workers} worker${workers === 1 ? "" : "s"}`, () => {
      it("stops in order at the first signal, after what is in flight", async () => {
        const program = start(workers);
        await serving(program, workers);
        const transfer = await RawConnection.open(port, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
        await transfer.until("hangs");
        program.child.kill("SIGTERM");
        await until("every app to drain", () => count(program, "app drains") === workers);
        expect(program.running).to.equal(true);
        transfer.close();
        expect(await program.exited).to.equal(0);
        expect(count(program, "app closed")).to.equal(workers);
      });

      it("cuts at once at the second", async () => {
        const program = start(workers);
        await serving(program, workers);
        const transfer = await RawConnection.open(port, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
        await transfer.until("hangs");
        program.child.kill("SIGINT");
        await until("every app to drain", () => count(program, "app drains") === workers);
        program.child.kill("SIGINT");
        expect(await program.exited).to.equal(0);
        expect(count(program, "app closed")).to.equal(workers);
        expect(await transfer.rest()).not.to.match(/\r\n0\r\n\r\n$/);
      });

      it("cuts what is in flight at the deadline", async () => {
        const program = start(workers, { shutdownTimeout: 0.05 });
        await serving(program, workers);
        const transfer = await RawConnection.open(port, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
        await transfer.until("hangs");
        program.child.kill("SIGTERM");
        expect(await program.exited).to.equal(0);
        expect(program.output).to.include("cut connections that were busy");
      });

      it("fails when the app can't be created", async () => {
        const program = start(workers, { fault: "start" });
        expect(await program.exited).to.equal(1);
        expect(count(program, "the database is in flames")).to.equal(1);
      });

      it("fails when the port is taken", async () => {
        await serving(start(1), 1);
        const program = start(workers);
        expect(await program.exited).to.equal(1);
        expect(program.output).to.include(`Another program listens on port ${port}`).and.include("app closed");
      });

      it("fails when the app can't be closed", async () => {
        const program = start(workers, { fault: "close" });
        await serving(program, workers);
        program.child.kill("SIGTERM");
        expect(await program.exited).to.equal(1);
      });
    });
  }

  it("can be stopped while the app is still being created", async () => {
    const program = start(2, { fault: "hang" });
    await program.ready("the app", () => program.output.includes("app hangs"));
    program.child.kill("SIGTERM");
    expect(await program.exited).to.equal(0);
    expect(count(program, "ended with 0")).to.equal(2);
  });

  it("answers from every worker, of which one is the first", async () => {
    const program = start(3);
    await serving(program, 3);
    const answers = [...(await askAll(3)).values()];
    expect(answers.filter((answer) => answer.includes("first true"))).to.have.length(1);
    expect(count(program, "serving ")).to.equal(1);
  });

  it("replaces a worker that dies; the first one's place is the first again", async () => {
    const program = start(2);
    await serving(program, 2);
    const before = await askAll(2);
    for (const [pid, answer] of before) if (answer.includes("first true")) process.kill(pid, "SIGKILL");
    await serving(program, 3);
    const after = await askAll(2);
    expect([...after.keys()].filter((pid) => before.has(pid))).to.have.length(1);
    expect([...after.values()].filter((answer) => answer.includes("first true"))).to.have.length(1);
    program.child.kill("SIGTERM");
    expect(await program.exited).to.equal(0);
  });

  it("goes on with the workers that live when another can't start", async () => {
    const program = start(2, { fault: "others" });
    await serving(program, 1);
    await until("three deaths", () => count(program, "a worker ended unexpectedly") >= 3);
    expect(await ask("/")).to.include("first true");
    program.child.kill("SIGTERM");
    await program.exited;
  });
});
