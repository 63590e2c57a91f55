import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl } from "../support/cli.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

const rules = [
  { who: ["anonymous", "*"], repositories: "public/*", actions: "pull" },
  { who: "group:dev", repositories: ["team/*", "tools"], actions: ["pull", "push"] },
  { who: "bob", actions: "none" },
  { who: "*", repositories: "*", actions: "all" },
];

describe("registryctl auth explain", () => {
  let cwd: string;
  before(async () => {
    cwd = await temporaryFolder();
    await mkdir(join(cwd, "config"));
    const common = { storage: "local", storage_path: join(cwd, "store") };
    const files = { htpasswd: "users", groups: { dev: ["ann"] } };
    const flavors = {
      dev: { ...common, auth: { ...files, rules } },
      plain: { ...common, auth: files },
      open: common,
    };
    await writeFile(join(cwd, "config/config.yml"), JSON.stringify(flavors));
    const hash = "$2y$10$Zm8n1T7gWcB0k2eR5tYuIuV9qLx3yNhJpKdS4fA6sDfGhJkL1zXcV";
    await writeFile(join(cwd, "config/users"), ["ann", "bob", "carl"].map((name) => `${name}:${hash}\n`).join(""));
  });
  after(async () => {
    await removeFolder(cwd);
  });

  const told: readonly (readonly [question: string, answer: string])[] = [
    ["ann push team/app", "allowed: rule 2, line 1: group:dev may pull, push to team/*, tools"],
    ["ann push library/tools", "allowed: rule 2, line 1: group:dev may pull, push to team/*, tools"],
    ["ann delete team/app", "denied: rule 2, line 1: group:dev may pull, push to team/*, tools"],
    ["ann push public/app", "denied: rule 1, line 1: anonymous, * may pull to public/*"],
    ["bob pull other/app", "denied: rule 3, line 1: bob may do nothing to *"],
    ["carl delete other/app", "allowed: rule 4, line 1: * may pull, push, delete to *"],
    ["anonymous pull public/app", "allowed: rule 1, line 1: anonymous, * may pull to public/*"],
    ["anonymous pull team/app", "denied: no rule is about anonymous and team/app"],
    ["dave pull public/app", "denied: there is no account dave"],
    ["carl push team/app --group dev", "allowed: rule 2, line 1: group:dev may pull, push to team/*, tools"],
    ["carl push any/app -f plain", "allowed: there are no rules, so: * may pull, push to *"],
    ["carl delete any/app -f plain", "denied: there are no rules, so: * may pull, push to *"],
    ["anonymous pull any/app -f plain", "denied: no rule is about anonymous and any/app"],
    ["anyone delete any/app -f open", "allowed: nobody is asked who they are: there is no section auth"],
  ];
  for (const [question, answer] of told) {
    it(`${question}: ${answer}`, async () => {
      const { code, stdout } = await registryctl(["auth", "explain", ...question.split(" ")], { cwd });
      expect([stdout, code]).to.deep.equal([`${answer}\n`, answer.startsWith("allowed") ? 0 : 1]);
    });
  }

  it("tells programs, and knows three actions", async () => {
    const { stdout, code } = await registryctl(["auth", "explain", "ann", "push", "team/app", "--json"], { cwd });
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.include({ allowed: true, rule: 2, hasAccount: true, repository: "team/app" });
    expect((await registryctl(["auth", "explain", "ann", "write", "team/app"], { cwd })).code).to.equal(2);
  });
});
