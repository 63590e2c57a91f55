import { connect } from "node:net";
import { once } from "node:events";
import type { Context } from "mocha";
import type { RedisSettings } from "../../src/drivers/cache/redis.ts";
import { needs } from "./needs.ts";
import { freePort, Program, removeFolder, temporaryFolder } from "./program.ts";

/** A Redis of the test's own, on a private port, that can be stopped, started again and frozen. */
export class RedisServer {
  readonly settings: RedisSettings;
  readonly #command: string;
  readonly #options: readonly string[];
  readonly #folder: string;
  #program: Program | undefined;

  private constructor(command: string, folder: string, settings: RedisSettings, options: readonly string[]) {
    this.#command = command;
    this.#folder = folder;
    this.settings = settings;
    this.#options = options;
  }

  /** Skips the suite when Redis is not installed. `options` are more arguments for redis-server. */
  static async start(context: Context, options: readonly string[] = [], password?: string): Promise<RedisServer> {
    const [command = ""] = needs(context, "redis-server");
    const settings = { host: "127.0.0.1", port: await freePort(), db: 1, ...(password && { password }) };
    const server = new RedisServer(command, await temporaryFolder("redis"), settings, [
      ...(password ? ["--requirepass", password] : []),
      ...options,
    ]);
    await server.start();
    return server;
  }

  /** Starts it again with the data that it was stopped with. */
  async start(): Promise<void> {
    const { host, port } = this.settings;
    const options = ["--bind", host, "--port", String(port), "--dir", this.#folder, "--daemonize", "no", "--appendonly", "no"]; // prettier-ignore
    this.#program = new Program(this.#command, [...options, ...this.#options]);
    await this.#program.ready("redis", async () => {
      await this.send("PING").catch((error: unknown) => {
        // Without the password it answers too.
        if (!String(error).includes("NOAUTH")) throw error;
      });
      return true;
    });
  }

  /** Sends one command on a connection of its own and answers what came back, raw. */
  async send(...words: readonly string[]): Promise<string> {
    const socket = connect(this.settings.port, this.settings.host);
    try {
      const lines = [
        ...(this.settings.password ? [`AUTH ${this.settings.password}`] : []),
        "SELECT 1",
        words.join(" "),
        "PING",
      ];
      socket.write(`${lines.join("\r\n")}\r\n`);
      let answer = "";
      while (!answer.endsWith("+PONG\r\n")) {
        const [chunk] = (await once(socket, "data")) as [Buffer];
        answer += chunk.toString();
        if (/^-/m.test(answer)) throw new Error(answer);
      }
      return answer.replace(/^(\+OK\r\n)+/, "").replace(/\+PONG\r\n$/, "");
    } finally {
      socket.destroy();
    }
  }

  /** Stops it, keeping its data for the next start. */
  async saveAndStop(): Promise<void> {
    await this.send("SAVE");
    await this.#program?.stop("SIGKILL");
  }

  async kill(): Promise<void> {
    await this.#program?.stop("SIGKILL");
  }

  /** It keeps its connections and answers nothing until `thaw`. */
  freeze(): void {
    this.#program?.child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#program?.child.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    this.thaw();
    await this.#program?.stop();
    await removeFolder(this.#folder);
  }
}
