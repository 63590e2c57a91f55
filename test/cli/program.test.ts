import { expect } from "chai";
import { program } from "../../src/cli/program.ts";
import { levels } from "../../src/cli/completion.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { PassThrough } from "node:stream";
import { registryctl } from "../support/cli.ts";

const signal = new AbortController().signal;
const terminal = new Terminal({
  ...{ stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() },
  ...{ env: {}, cwd: "/", signal, force: signal, self: ["node", "registryctl"], nodeVersion: "20.0.0" },
});
const commands = levels(program({ terminal, version: "1.2.3" })).map(({ path }) => path.split(" "));

describe("registryctl", () => {
  it("prints its version", async () => {
    const { code, stdout } = await registryctl(["--version"]);
    expect(code).to.equal(0);
    expect(stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it("without a command shows its help as wrong usage", async () => {
    const { code, stdout, stderr } = await registryctl([]);
    expect(code).to.equal(2);
    expect(stdout).to.equal("");
    expect(stderr).to.contain("Usage: registryctl").and.contain("Exit codes: 0 done");
  });

  for (const [args, says] of [
    [["chekc"], "Did you mean check?"],
    [["serve", "--prot", "1"], "Did you mean --port?"],
    [["serve", "--port", "many"], "from 0 to 65535"],
    [["serve", "--workers", "0"], "from 1 to 1024, or auto"],
    [["keygen", "one", "two"], "too many arguments"],
    [["request", "GET", "--key", "x"], "missing required argument 'path'"],
    [["config"], "Usage: registryctl config"],
    [["check", "--all", "--flavor", "x"], "cannot be used with"],
  ] as const) {
    it(`calls "${args.join(" ")}" wrong usage`, async () => {
      const { code, stdout, stderr } = await registryctl(args);
      expect(code).to.equal(2);
      expect(stdout).to.equal("");
      expect(stderr).to.contain(says);
    });
  }

  for (const words of commands.filter(([first]) => first !== "")) {
    it(`explains ${words.join(" ")} with an example`, async () => {
      const { code, stdout, stderr } = await registryctl([...words, "--help"]);
      expect(code).to.equal(0);
      expect(stderr).to.equal("");
      expect(stdout).to.contain(`Usage: registryctl ${words.join(" ")}`);
      expect(stdout).to.match(/Examples?:\n {2}\$ .*registryctl /);
    });
  }

  it("knows all its commands", () => {
    expect(commands.map((words) => words.join(" "))).to.include.members(
      "init,check,serve,config show,config schema,keygen,request,gen-nginx,gen-apache,gen-systemd,gen-compose,completion".split(
        ",",
      ),
    );
  });
});
