import { expect } from "chai";
import { Rules } from "../../../src/server/access/rules.ts";

describe("rules", () => {
  const rules = new Rules([
    { who: ["eve"], repositories: ["*"], actions: [] },
    { who: ["group:ops"], repositories: ["*"], actions: ["pull", "push", "delete"] },
    { who: ["anonymous"], repositories: ["public/*"], actions: ["pull"] },
    { who: ["*"], repositories: ["library/base", "team.x/*"], actions: ["pull"] },
  ]);
  const account = (name: string, groups: readonly string[] = []) => ({ name, groups });

  it("decide by the first that is about somebody and the repository", () => {
    expect(rules.decide(account("eve", ["ops"]), "pull", "a")).to.deep.equal({ allowed: false, rule: 1 });
    expect(rules.decide(account("ann", ["ops"]), "delete", "a")).to.deep.equal({ allowed: true, rule: 2 });
    expect(rules.decide(account("ann"), "push", "team.x/a/b")).to.deep.equal({ allowed: false, rule: 4 });
    expect(rules.decide(account("ann"), "pull", "teamyx/a")).to.deep.equal({ allowed: false, rule: undefined });
    expect(rules.decide("anonymous", "pull", "public/a")).to.deep.equal({ allowed: true, rule: 3 });
    expect(rules.decide("anonymous", "pull", "library/base").allowed).to.equal(false);
  });

  it("take docker's short names and those in library for the same", () => {
    expect(rules.decide(account("ann"), "pull", "base").rule).to.equal(4);
    expect(rules.decide(account("ann"), "pull", "library/base").rule).to.equal(4);
    expect(rules.decide(account("ann"), "pull", "library/base/more").rule).to.equal(undefined);
  });

  it("take nobody for a group, or for nobody in particular, for their name", () => {
    expect(rules.decide(account("group:ops"), "pull", "a").allowed).to.equal(false);
    expect(rules.decide(account("anonymous"), "pull", "public/a").allowed).to.equal(false);
  });
});
