import { expect } from "chai";
import { groupsWith, parseGroups } from "../../../src/server/accounts/group-file.ts";
import { parseUsers, withoutUser, withUser } from "../../../src/server/accounts/user-file.ts";

const ann = "$2y$05$PCEqQ7eYf3KtpfFC4n31cOHltke7U4SjLk.XCM9neerC7BbW1KhNy";
const bob = "$apr1$QsBbLAKl$EWCaQlkCqPDf7pdgzAPCR1";
const text = `# who may\n\nann:${ann}\nbob:${bob}:Robert\r\nann:${bob}\nwhat is this\neve:plaintext\n:${ann}\ncarl:\n`;

describe("an htpasswd file", () => {
  it("has users, of which the first line counts, and lines that can't be read", () => {
    const { users, faults, repeated } = parseUsers(text);
    expect([...users.values()]).to.deep.equal([
      { name: "ann", hash: ann },
      { name: "bob", hash: bob },
    ]);
    expect(repeated).to.deep.equal(["ann"]);
    expect(faults.map(({ line }) => line)).to.deep.equal([6, 7, 8, 9]);
    expect(JSON.stringify(faults)).to.contain("eve").and.not.contain("plaintext");
  });

  it("keeps all other lines when a user is added, changed or removed", () => {
    expect(withUser(text, "dora", ann)).to.equal(`${text}dora:${ann}\n`);
    expect(withUser(text.trimEnd(), "dora", ann)).to.equal(`${text}dora:${ann}\n`);
    expect(withUser("", "dora", ann)).to.equal(`dora:${ann}\n`);
    expect(withUser(text, "bob", ann)).to.equal(text.replace(bob, ann));
    expect(withUser(text, "eve", ann)).to.equal(text.replace("plaintext", ann));
    expect(withoutUser(text, "bob")).to.equal(text.replace(/bob[^\n]*\n/, ""));
    expect(withoutUser(text, "ann")).to.equal(text.replace(/ann:[^\n]*\n/g, ""));
  });

  it("keeps bytes that are no UTF-8", () => {
    const bytes = Buffer.from([0x23, 0xe9, 0x0a]).toString("latin1");
    expect(Buffer.from(withUser(bytes, "ümit", ann), "latin1")).to.deep.equal(
      Buffer.concat([Buffer.from([0x23, 0xe9, 0x0a]), Buffer.from(`ümit:${ann}\n`)]),
    );
    expect(withoutUser(withUser(bytes, "ümit", ann), "ümit")).to.equal(bytes);
  });
});

describe("a group file", () => {
  it("has groups, some on several lines, and lines that can't be read", () => {
    const { groups, faults } = parseGroups("# teams\ndev: ann bob\nops:carl\ndev: dora\nempty:\nnonsense\n");
    expect(groupsWith(groups, "ann")).to.deep.equal(["dev"]);
    expect(groupsWith(groups, "dora")).to.deep.equal(["dev"]);
    expect(groupsWith(groups, "carl")).to.deep.equal(["ops"]);
    expect(groupsWith(groups, "eve")).to.deep.equal([]);
    expect(faults.map(({ line }) => line)).to.deep.equal([6]);
  });
});
