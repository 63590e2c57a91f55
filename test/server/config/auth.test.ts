import { expect } from "chai";
import { parseConfig } from "../../../src/server/config/config-file.ts";
import { evaluate } from "../../../src/server/config/flavors.ts";

const token = "realm: 'https://t.example.com/token', service: r, issuer: t";

/** What is wrong with a flavor that has these lines. */
function problemsOf(...lines: readonly string[]): readonly string[] {
  const text = `dev:\n  storage: memory\n${lines.map((line) => `  ${line}\n`).join("")}`;
  const { problems } = evaluate(parseConfig("config.yml", text), "dev", {});
  return problems.map(({ key, line, problem }) => `${key ?? ""} ${line ?? 0}: ${problem}`);
}

describe("the section auth", () => {
  it("takes rules in short and in full", () => {
    const text = `dev:
  storage: memory
  auth:
    rules:
      - { who: "ann, bob", repositories: team/*, actions: "pull push" }
      - { who: [group:dev], actions: all }
      - { who: "*", repositories: [a, b], actions: none }
`;
    const { loaded, problems } = evaluate(parseConfig("config.yml", text), "dev", {});
    expect(problems).to.deep.equal([]);
    expect(loaded?.settings.auth?.rules).to.deep.equal([
      { who: ["ann", "bob"], repositories: ["team/*"], actions: ["pull", "push"] },
      { who: ["group:dev"], repositories: ["*"], actions: ["pull", "push", "delete"] },
      { who: ["*"], repositories: ["a", "b"], actions: [] },
    ]);
  });

  it("is off without anything that says who there is", () => {
    const text = "dev:\n  storage: memory\n  auth: { signup: true }\n";
    const { loaded, warnings } = evaluate(parseConfig("config.yml", text), "dev", {});
    expect(loaded?.settings.auth).to.equal(undefined);
    expect(warnings.map(({ key }) => key)).to.deep.equal(["auth"]);
  });

  const wrong: readonly (readonly [lines: readonly string[], problems: readonly string[]])[] = [
    [["auth: { rules: [{ who: ann, actions: write }] }"], ["auth.rules.actions 3: "]],
    [["auth: { rules: [{ actions: pull }] }"], ["auth.rules.who 3: is missing"]],
    [["auth: { rules: [{ who: ann, what: pull, actions: pull }] }"], ["auth.rules.0.what 3: is no option"]],
    [["auth: { rules: [{ who: 'group:', actions: pull }] }"], ['auth.rules.0.who 3: "group:" is nobody']],
    [["auth: { rules: [{ who: 'ann*', actions: pull }] }"], ['auth.rules.0.who 3: "ann*" is nobody']],
    [[`auth: { token: { ${token} } }`], ["auth.token.jwks 3: is missing"]],
    [
      [`auth: { token: { ${token}, jwks: a, certificates: b } }`],
      ["auth.token.jwks 3: can't be used beside certificates"],
    ],
    [
      ["auth: { token: { jwks: keys.json } }"],
      ["auth.token.realm 3: ", "auth.token.service 3: ", "auth.token.issuer 3: "],
    ],
    [["standalone: false", "auth: { htpasswd: users }"], ["standalone 3: leaves to others"]],
    [["auth: { signup: true, rules: [] }"], ["auth.signup 3: has no file to write accounts to"]],
  ];
  for (const [lines, problems] of wrong) {
    it(`refuses ${lines.join(", ")}`, () => {
      const found = problemsOf(...lines);
      expect(found).to.have.length(problems.length);
      for (const [index, problem] of problems.entries())
        expect(found[index]).to.satisfy((text: string) => text.startsWith(problem), found[index]);
    });
  }
});
