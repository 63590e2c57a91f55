import { expect } from "chai";
import {
  nameMisfit,
  ociNamesOf,
  ociTagOf,
  tagMisfit,
  v1RepositoryOf,
  v1TagOf,
} from "../../../../src/server/registry/bridge/names.ts";
import { parseRepositoryName, parseTagName, repositoryText } from "../../../../src/server/registry/names.ts";
import { isOciName, isOciTag, parseOciName, parseOciTag } from "../../../../src/server/registry/oci-names.ts";
import { seededRandom, type Random } from "../../../support/random.ts";

const long = "x".repeat(200);

describe("the names of a V1 repository in V2", () => {
  for (const [repository, names] of [
    ["busybox", ["library/busybox", "busybox"]],
    ["library/busybox", ["library/busybox", "busybox"]],
    ["foo/bar", ["foo/bar"]],
    ["a/b/c", ["a/b/c"]],
    ["library/b/c", ["library/b/c"]],
    ["a/b_c.d--e", ["a/b_c.d--e"]],
    [`${long}/${"y".repeat(54)}`, [`${long}/${"y".repeat(54)}`]],
    ["FOO/bar", []],
    ["a/sp ace", []],
    [`${long}/${"y".repeat(60)}`, []],
  ] as const) {
    it(`are ${names.join(", ") || "none"} for ${repository.slice(0, 20)}`, () => {
      expect(ociNamesOf(parseRepositoryName(repository))).to.deep.equal(names);
      expect(nameMisfit(parseRepositoryName(repository)) === undefined).to.equal(names.length > 0);
    });
  }

  for (const [repository, suggestion, reason] of [
    ["FOO/Bar", "foo/bar", "no upper-case"],
    ["BusyBox", "library/busybox", "no upper-case"],
    ["a/sp ace", "a/sp-ace", "only letters, digits"],
    ["A/b+C", "a/b-c", "only letters, digits"],
    ["a/..", "a/unnamed", "begin and end"],
    ["a/b//c/", "a/b/unnamed/c/unnamed", "begin and end"],
    ["a/_b-", "a/b", "begin and end"],
    ["a/b._c___d__e--f", "a/b-c-d__e--f", "begin and end"],
    ["%2e/x", "2e/x", "only letters, digits"],
    [`${long}/${"y".repeat(60)}`, `${long}/${"y".repeat(54)}`, "at most 255"],
    [`${long}/${"Y".repeat(53)}-zz`, `${long}/${"y".repeat(53)}`, "at most 255"],
  ] as const) {
    it(`are explained and replaced for ${repository.slice(0, 20)}`, () => {
      const misfit = nameMisfit(parseRepositoryName(repository));
      expect(misfit?.reason).to.include(reason);
      expect(misfit?.suggestion).to.equal(suggestion);
    });
  }

  it("lead back to the repository", function () {
    const random = seededRandom(this);
    for (let round = 0; round < 500; round++) {
      const name = parseOciName(randomText(random, ["a", "b0", "c.d", "e__f", "g---h"], "/", 4));
      const repository = v1RepositoryOf(name);
      expect(repository, name).not.to.equal(undefined);
      expect(ociNamesOf(repository!), name).to.include(name);
    }
  });

  it("are suggested so that V2 can spell them", function () {
    const random = seededRandom(this);
    for (let round = 0; round < 1000; round++) {
      const repository = parseRepositoryName(
        `n/${randomText(random, ["a", "B", ".", "_", "-", "/", " ", "%", "~", "zz"], "", 12)}`,
      );
      const misfit = nameMisfit(repository);
      expect(misfit === undefined, repositoryText(repository)).to.equal(ociNamesOf(repository).length > 0);
      if (misfit)
        expect(isOciName(misfit.suggestion), `${repositoryText(repository)} → ${misfit.suggestion}`).to.equal(true);
    }
  });
});

describe("the repository of V1 that a name of V2 stands for", () => {
  for (const [name, namespace, rest] of [
    ["busybox", "library", "busybox"],
    ["library/busybox", "library", "busybox"],
    ["a/b", "a", "b"],
    ["a/b/c", "a", "b%2Fc"],
  ] as const) {
    it(`is ${namespace} and ${rest} for ${name}`, () => {
      expect(v1RepositoryOf(parseOciName(name))).to.deep.equal({ namespace, name: rest });
    });
  }

  it("does not exist where V1 has no room for it", () => {
    expect(v1RepositoryOf(parseOciName(`a/${"b".repeat(245)}`))).to.equal(undefined);
  });
});

describe("tags of V1 in V2", () => {
  for (const tag of ["latest", "v1.0_x-y", "_x", "X", "x".repeat(128)]) {
    it(`are the same: ${tag.slice(0, 20)}`, () => {
      expect(ociTagOf(parseTagName(tag))).to.equal(tag);
      expect(tagMisfit(parseTagName(tag))).to.equal(undefined);
      expect(v1TagOf(parseOciTag(tag))).to.equal(tag);
    });
  }

  for (const [tag, suggestion, reason] of [
    ["a+1 x", "a-1-x", "only letters, digits"],
    [".x", "x", "begin with"],
    ["-", "unnamed", "begin with"],
    ["+", "unnamed", "only letters, digits"],
    ["x".repeat(129), "x".repeat(128), "at most 128"],
  ] as const) {
    it(`are explained and replaced: ${tag.slice(0, 20)}`, () => {
      expect(ociTagOf(parseTagName(tag))).to.equal(undefined);
      expect(tagMisfit(parseTagName(tag))?.suggestion).to.equal(suggestion);
      expect(tagMisfit(parseTagName(tag))?.reason).to.include(reason);
    });
  }

  it("are suggested so that V2 can spell them", function () {
    const random = seededRandom(this);
    for (let round = 0; round < 500; round++) {
      const tag = parseTagName(randomText(random, ["a", "B", ".", "_", "-", " ", "%", "~", "x".repeat(50)], "", 4));
      const misfit = tagMisfit(tag);
      expect(misfit === undefined, tag).to.equal(isOciTag(tag));
      if (misfit) expect(isOciTag(misfit.suggestion), misfit.suggestion).to.equal(true);
    }
  });
});

/** One to `most` of the pieces. */
function randomText(random: Random, pieces: readonly string[], between: string, most: number): string {
  return Array.from({ length: 1 + random(most) }, () => pieces[random(pieces.length)]).join(between);
}
