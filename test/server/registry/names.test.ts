import { expect } from "chai";
import {
  parseImageId,
  parseRepositoryName,
  parseTagName,
  quoteElement,
  quotePlus,
  repositoryOfFolders,
  repositoryOfText,
  repositoryText,
  unquoteElement,
  unquotePlus,
} from "../../../src/server/registry/names.ts";
import { repositoryFolders, tagJsonKeys, tagKeys } from "../../../src/server/registry/paths.ts";

describe("V1 names", () => {
  for (const [text, namespace, name] of [
    ["busybox", "library", "busybox"],
    ["library/busybox", "library", "busybox"],
    ["foobar/bar", "foobar", "bar"],
    ["FOO/Bar", "FOO", "Bar"],
    ["a/b/c", "a", "b%2Fc"],
    ["a/sp ace", "a", "sp+ace"],
    ["a/..", "a", ".."],
    ["%2e%2e/x", "%2e%2e", "x"],
  ] as const) {
    it(`reads the repository ${text}`, () => {
      expect(parseRepositoryName(text)).to.deep.equal({ namespace, name });
    });
  }

  for (const text of ["", "/", "a/", "/a", "é/b", "a/\u0000", "a/b\n", "a/\\..\\x", `a/${"x".repeat(250)}`]) {
    it(`refuses the repository ${JSON.stringify(text).slice(0, 30)}`, () => {
      expect(() => parseRepositoryName(text)).to.throw("Invalid repository name");
    });
  }

  for (const text of ["", "a/b", "é", "a\nb", "x".repeat(250)]) {
    it(`refuses the tag ${JSON.stringify(text).slice(0, 30)}`, () => {
      expect(() => parseTagName(text)).to.throw("Invalid tag name");
    });
  }

  for (const text of ["", "a b", "../x", "-a", "a\n", "a/b", "é", "x".repeat(129), "%2e%2e"]) {
    it(`refuses the image id ${JSON.stringify(text).slice(0, 30)}`, () => {
      expect(() => parseImageId(text)).to.throw("Invalid image ID");
    });
  }

  it("shows a repository as it is read again", () => {
    for (const text of ["a/b/c", "a/sp ace", "busybox", "FOO/Bar", "a/.."]) {
      const repository = parseRepositoryName(text);
      expect(repositoryOfText(repositoryText(repository))).to.deep.equal(repository);
    }
    for (const text of ["", "a", "a/b/c", "a/b c", "/b", "a/", "a/%zz", "é/b"]) {
      expect(repositoryOfText(text), text).to.equal(undefined);
    }
  });

  it("quotes as Python's quote_plus", () => {
    expect(quotePlus("a+1 x/é~".replace("é", ""))).to.equal("a%2B1+x%2F%7E");
    expect(unquotePlus("a%2B1+x%2F%7E")).to.equal("a+1 x/~");
    expect(unquotePlus("a%2b")).to.equal(undefined);
    expect(unquotePlus("%E0%A4%A")).to.equal(undefined);
  });

  it("never makes a component that climbs", () => {
    for (const text of [".", ".."]) {
      expect(quoteElement(text)).to.match(/^(%252E)+$/);
      expect(unquoteElement(quoteElement(text))).to.equal(text);
    }
  });
});

describe("V1 keys", () => {
  it("are those that docker-registry 0.9.1 wrote", () => {
    expect(repositoryFolders(parseRepositoryName("a/sp ace"))[0]).to.equal("repositories/a/sp%2Bace");
    expect(repositoryFolders(parseRepositoryName("a/b/c"))[0]).to.equal("repositories/a/b%252Fc");
    expect(repositoryFolders(parseRepositoryName("a/.."))[0]).to.equal("repositories/a/%252E%252E");
    expect(tagKeys(parseRepositoryName("a/b"), parseTagName("a+1 x"))[0]).to.equal("repositories/a/b/tag_a%2B1+x");
  });

  it("include those of 0.7.1 where it quoted less", () => {
    expect(repositoryFolders(parseRepositoryName("a/b/c"))).to.include("repositories/a/b%2Fc");
    expect(tagKeys(parseRepositoryName("a/b"), parseTagName("a+1 x"))).to.include("repositories/a/b/tag_a+1 x");
    expect(tagKeys(parseRepositoryName("a/b"), parseTagName("v1"))).to.have.length(1);
  });

  it("are never those of two repositories", () => {
    for (const [one, other] of [
      ["a/b/c", "a/b%2Fc"],
      ["a/b c", "a/b+c"],
      ["a/b+c", "a/b%2Bc"],
      ["a b/c", "a+b/c"],
      ["../c", "%252E%252E/c"],
    ] as const) {
      const shared = repositoryFolders(parseRepositoryName(one)).filter((folder) =>
        repositoryFolders(parseRepositoryName(other)).includes(folder),
      );
      expect(shared, `${one} and ${other}`).to.deep.equal([]);
    }
  });

  it("are never those of two tags, nor of a tag and the document of another", () => {
    const repository = parseRepositoryName("a/b");
    const [plain, spaced] = ["a+b", "a b"].map((tag) => tagKeys(repository, parseTagName(tag)));
    expect(plain?.filter((key) => spaced?.includes(key))).to.deep.equal([]);
    expect(tagJsonKeys(repository, parseTagName("_x"))).not.to.include.members(
      tagKeys(repository, parseTagName("x_json")),
    );
    expect(tagJsonKeys(repository, parseTagName("x"))).to.deep.equal(["repositories/a/b/tagx_json"]);
  });

  it("lead back to the repository from the folders of either", () => {
    for (const text of ["busybox", "a/b/c", "a/sp ace", "x/.."]) {
      const repository = parseRepositoryName(text);
      for (const folder of repositoryFolders(repository)) {
        const [, namespace = "", name = ""] = folder.split("/");
        expect(repositoryOfFolders(namespace, name), folder).to.deep.equal(repository);
      }
    }
    expect(repositoryOfFolders("a", "b c")).to.equal(undefined);
  });
});
