import { CommanderError } from "@commander-js/extra-typings";
import { expect } from "chai";
import { parseOptions, type Options } from "../../bench/options.ts";

function parse(...args: string[]): Options {
  return parseOptions(args, () => undefined);
}

function refusal(...args: string[]): string {
  let said = "";
  expect(() => parseOptions(args, (text) => (said += text))).to.throw(CommanderError);
  return said;
}

describe("the arguments of a measurement", () => {
  it("mean five rounds of everything beside docker-registry when there are none", () => {
    expect(parse()).to.deep.equal({
      peer: "docker-registry",
      program: undefined,
      profile: undefined,
      workers: 1,
      rounds: 5,
      only: undefined,
      isQuick: false,
      json: undefined,
      folder: undefined,
      freeMemory: undefined,
      mustMeetTargets: false,
      isList: false,
    });
  });

  it("are all understood", () => {
    expect(parse("--rounds", "3", "--only", "a,b", "--json", "f", "--check", "--workers", "auto")).to.deep.include({
      rounds: 3,
      only: ["a", "b"],
      json: "f",
      mustMeetTargets: true,
      workers: "auto",
    });
    expect(parse("--quick", "--rounds", "9").rounds).to.equal(1);
    expect(parse("--free-memory", "4").freeMemory).to.equal(4_294_967_296);
  });

  it("take a peer by its name, its URL or its program", () => {
    for (const peer of ["none", "docker-registry", "http://127.0.0.1:5000", "../old/bin/registryctl.js"]) {
      expect(parse("--peer", peer).peer).to.equal(peer);
    }
    for (const peer of ["zot", "https://127.0.0.1:5000", "http://127.0.0.1", "ftp://a:1"]) {
      expect(refusal("--peer", peer)).to.match(/docker-registry, none, a file\.js, or a URL/);
    }
  });

  it("are refused with the reason", () => {
    expect(refusal("--rounds", "0")).to.match(/from 1 to 1000/);
    expect(refusal("--rounds", "1.5")).to.match(/from 1 to 1000/);
    expect(refusal("--workers", "many")).to.match(/from 1 to 1000/);
    expect(refusal("--nonsense")).to.match(/unknown option '--nonsense'/);
  });
});
