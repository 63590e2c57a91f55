import { expect } from "chai";
import { AnswerParser, headerOf, type Answer } from "../../bench/load/answer-parser.ts";

/** Feeds `text` in pieces of `size` bytes. */
function parse(text: string, size: number, bodyless = false): { answer: Answer | undefined; body: string } {
  const parser = new AnswerParser();
  let body = "";
  let answer: Answer | undefined;
  parser.begin(bodyless, (bytes) => (body += bytes.toString("latin1")));
  for (let offset = 0; offset < text.length; offset += size) {
    expect(answer, "an answer before its end").to.equal(undefined);
    answer = parser.feed(Buffer.from(text.slice(offset, offset + size), "latin1"));
  }
  return { answer, body };
}

const sizes = [1, 2, 3, 7, 64, 4096];

describe("the parser of answers", () => {
  it("reads a body with a length, however it is cut", () => {
    for (const size of sizes) {
      const { answer, body } = parse("HTTP/1.1 200 OK\r\ncontent-length: 11\r\nX-A: b\r\n\r\nhello\r\n\r\nyo", size);
      expect(answer).to.include({ status: 200, length: 11 });
      expect(body).to.equal("hello\r\n\r\nyo");
      expect(answer && headerOf(answer, "x-a")).to.equal("b");
    }
  });

  it("reads a chunked body, however it is cut", () => {
    const text =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n";
    for (const size of sizes) {
      const { answer, body } = parse(text, size);
      expect(answer).to.include({ status: 200, length: 15 });
      expect(body).to.equal("hello0123456789");
    }
  });

  it("knows answers without a body", () => {
    for (const size of sizes) {
      expect(parse("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", size, true).answer).to.include({ length: 0 });
      expect(parse("HTTP/1.1 204 No Content\r\n\r\n", size).answer).to.include({ status: 204, length: 0 });
      expect(parse("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", size).answer).to.include({ status: 202 });
    }
  });

  it("waits for an answer that is not all there", () => {
    expect(parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 4).answer).to.equal(undefined);
    expect(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", 4).answer).to.equal(undefined);
  });

  it("refuses to guess", () => {
    expect(() => parse("HTTP/1.1 200 OK\r\n\r\nuntil the end", 64)).to.throw("how long it is");
    expect(() => parse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", 64)).to.throw("more than its answer");
    expect(() => parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 64)).to.throw("size of a chunk");
  });
});
