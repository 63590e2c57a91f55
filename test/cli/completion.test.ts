import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl, succeeds } from "../support/cli.ts";
import { needs } from "../support/needs.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

/** What is typed, and the words that must be among the offers, or the only ones. */
const rows: readonly {
  readonly typed: readonly string[];
  readonly offers: readonly string[];
  readonly only?: boolean;
}[] = [
  { typed: [""], offers: ["keygen", "request", "completion", "gen-nginx", "init", "check", "serve"] },
  { typed: ["keyg"], offers: ["keygen"], only: true },
  { typed: ["keygen", "--b"], offers: ["--bits"], only: true },
  { typed: ["keygen", "--force", "--pub"], offers: ["--public-from"], only: true },
  { typed: ["completion", ""], offers: ["bash", "zsh", "fish"], only: true },
  { typed: ["request", "--hash", "sha2"], offers: ["sha256"], only: true },
  { typed: ["request", "--key", "my"], offers: ["my key.pem"], only: true },
  { typed: ["config", "s"], offers: ["show", "schema"], only: true },
  { typed: ["user", ""], offers: ["add", "passwd", "rm", "ls", "token"], only: true },
  { typed: ["user", "token", "add", "--rep"], offers: ["--repository"], only: true },
  { typed: ["config", "show", "--fl"], offers: ["--flavor"], only: true },
];

describe("registryctl completion", () => {
  let cwd: string;
  before(async () => {
    cwd = await temporaryFolder();
    await mkdir(join(cwd, "folder"));
    await writeFile(join(cwd, "my key.pem"), "");
    for (const shell of ["bash", "zsh", "fish"]) {
      await writeFile(join(cwd, `completion.${shell}`), await succeeds(["completion", shell]));
    }
  });
  after(async () => {
    await removeFolder(cwd);
  });

  it("knows three shells", async () => {
    const { code, stderr } = await registryctl(["completion", "tcsh"]);
    expect(code).to.equal(2);
    expect(stderr).to.contain("bash, zsh, fish");
  });

  const shells: Record<string, (typed: readonly string[]) => string[]> = {
    bash: (typed) => {
      const words = ["registryctl", ...typed].map(quoted).join(" ");
      const script = `source ./completion.bash; COMP_WORDS=(${words}); COMP_CWORD=${typed.length}; _registryctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return lines(execFileSync("bash", ["--norc", "-c", script], { cwd, encoding: "utf8" }));
    },
    zsh: (typed) => {
      // Outside the line editor, the builtins that take the offers are replaced by ones that print them.
      const words = ["registryctl", ...typed].map(quoted).join(" ");
      const script = `compdef() { }; _files() { print -l -- \${words[CURRENT]}*(N); }
        compadd() { shift; print -l -- $@ }; _describe() { print -l -- \${(P)2%%:*} }
        source ./completion.zsh; words=(${words}); CURRENT=${typed.length + 1}; _registryctl`;
      const offers = lines(execFileSync("zsh", ["-f", "-c", script], { cwd, encoding: "utf8" }));
      return offers.filter((offer) => offer.startsWith(typed.at(-1) ?? ""));
    },
    fish: (typed) => {
      const line = ["registryctl", ...typed].map((word) => word.replaceAll(" ", "\\ ")).join(" ");
      const script = `source ./completion.fish; complete -C ${quoted(line)}`;
      const text = execFileSync("fish", ["--no-config", "-c", script], {
        cwd,
        encoding: "utf8",
        env: { ...process.env, HOME: cwd },
      });
      return lines(text).map((offer) => (offer.split("\t")[0] ?? "").replaceAll("\\ ", " "));
    },
  };

  for (const [shell, complete] of Object.entries(shells)) {
    describe(`in ${shell}`, () => {
      before(function () {
        needs(this, shell);
      });
      for (const { typed, offers, only } of rows) {
        it(`offers ${offers.join(", ")} after "${typed.join(" ")}"`, () => {
          const offered = complete(typed);
          if (only) expect(offered).to.have.members(offers);
          else expect(offered).to.include.members([...offers]);
        });
      }
    });
  }
});

function quoted(word: string): string {
  return `'${word}'`;
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
