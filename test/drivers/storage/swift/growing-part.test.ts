import { expect } from "chai";
import { GrowingPart } from "../../../../src/drivers/storage/swift/growing-part.ts";
import { outcome, rejection } from "../../../support/storage-content.ts";

const length = 1_048_576;

describe("a part that is sent while it comes", () => {
  it("takes no more than its buffer holds, and gives a first reader what is there", async () => {
    const part = new GrowingPart(Buffer.alloc(length), 0);
    const reader = part.read();
    expect(part.add(Buffer.alloc(length / 2, "a"))).to.equal(length / 2);
    expect((await reader.next()).value).to.have.length(length / 2);
    const next = reader.next();
    expect(part.add(Buffer.alloc(length, "b"))).to.equal(length / 2);
    expect(part.add(Buffer.from("c"))).to.equal(0);
    expect((await next).value).to.deep.equal(Buffer.alloc(length / 2, "b"));
    part.end();
    expect((await reader.next()).done).to.be.true;
  });

  it("begins anew for each reader after the first, once it is whole", async () => {
    const part = new GrowingPart(Buffer.alloc(length), 0);
    part.add(Buffer.alloc(length / 2, "a"));
    const first = part.read();
    await first.next();
    await first.return(undefined);
    const order: string[] = [];
    const second = part
      .read()
      .next()
      .then((chunk) => {
        order.push("read");
        return chunk.done === true ? 0 : chunk.value.length;
      });
    part.add(Buffer.from("b"));
    await new Promise((resolve) => setImmediate(resolve));
    order.push("ended");
    part.end();
    expect(await second).to.equal(length / 2 + 1);
    expect(order).to.deep.equal(["ended", "read"]);
    const third: Uint8Array[] = [];
    for await (const chunk of part.read()) third.push(chunk);
    expect(Buffer.concat(third).equals(part.content)).to.be.true;
  });

  it("goes on at the beginning of its memory, and leaves alone what lies before it there", async () => {
    const ring = Buffer.alloc(10, "-");
    const part = new GrowingPart(ring, 0, 7);
    expect(part.add(Buffer.from("abcde"))).to.equal(5);
    expect(part.next).to.equal(2);
    expect(ring.toString()).to.equal("de-----abc");
    part.end();
    const chunks: string[] = [];
    for await (const chunk of part.read()) chunks.push(String(chunk));
    expect(chunks).to.deep.equal(["abc", "de"]);
  });

  it("passes on to its reader what its memory does not hold, and is there no more once some was taken", async () => {
    const part = new GrowingPart(Buffer.from("0123456789"), 10);
    const passed = part.pass(Buffer.from("abc"));
    expect(part).to.include({ length: 13, held: 10, isThere: true, isFresh: true });
    const reader = part.read();
    expect(String((await reader.next()).value)).to.equal("0123456789");
    expect(part.isThere).to.be.true;
    expect(String((await reader.next()).value)).to.equal("abc");
    await passed;
    expect(part.isThere).to.be.false;
    const next = part.pass(Buffer.from("d"));
    expect(String((await reader.next()).value)).to.equal("d");
    await next;
    part.end();
    expect((await reader.next()).done).to.be.true;
    expect(await outcome(part.read().next())).to.equal("UNAVAILABLE");
  });

  it("never ends for a reader who does not get all of it", async () => {
    const part = new GrowingPart(Buffer.from("0123456789"), 10);
    const stale = part.read().next();
    const reader = part.read();
    const first = reader.next();
    expect(part.isFresh).to.be.false;
    const passed = part.pass(Buffer.from("abc"));
    expect(await outcome(stale)).to.equal("UNAVAILABLE");
    expect(String((await first).value)).to.equal("0123456789");
    expect(String((await reader.next()).value)).to.equal("abc");
    await passed;
    const late = part.pass(Buffer.from("nobody takes this"));
    part.leave();
    await late;
  });

  it("fails its readers when there will be no more", async () => {
    const part = new GrowingPart(Buffer.alloc(length), 0);
    const waiting = part.read().next();
    part.fail(new Error("the client left"));
    expect(String(await rejection(waiting))).to.contain("the client left");
    expect(String(await rejection(part.read().next()))).to.contain("the client left");
  });
});
