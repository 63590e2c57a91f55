import { expect } from "chai";
import {
  decodeHeader,
  encodeHeader,
  FrameReader,
  type Header,
} from "../../../../src/drivers/storage/elliptics/frame.ts";
import { idOf, indexTableId, objectTableId, shardOf } from "../../../../src/drivers/storage/elliptics/ids.ts";
import { bytesIn, decodeMsgpack, listIn } from "../../../../src/drivers/storage/elliptics/msgpack.ts";
import {
  decodeBackends,
  decodeContent,
  decodeFileInfo,
  decodeHandshake,
  decodeIndexReply,
  decodeRouteList,
  encodeIndexRequest,
  encodeIo,
  type Io,
} from "../../../../src/drivers/storage/elliptics/structures.ts";
import { capturedExchanges } from "../../../support/elliptics/exchanges.ts";

interface Frame {
  readonly header: Header;
  readonly body: Buffer;
}

const exchanges = capturedExchanges();
const key = "images/abc/json";
const id = idOf("DOCKER", key);
const tags = ["docker", "images/abc"].map((tag) => idOf("DOCKER", tag));
const tables = (shard: number): readonly Buffer[] => tags.map((tag) => indexTableId(tag, shard, 2));

/** The frames in bytes that come in pieces of one length. */
function framesIn(bytes: Buffer, length: number): readonly Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader(
    () => 10_000,
    (header, body) => frames.push({ header, body }),
  );
  for (let at = 0; at < bytes.length; at += length) reader.push(bytes.subarray(at, at + length));
  return frames;
}

function answersTo(name: string): readonly Buffer[] {
  return framesIn(Buffer.concat(exchanges[name]!.answered), 1).map(({ body }) => body);
}

describe("the bytes of Elliptics' protocol", () => {
  it("are read the same wherever they are cut", () => {
    const all = Object.values(exchanges).flatMap(({ sent, answered }) => [...sent, ...answered]);
    const bytes = Buffer.concat(all);
    const whole = all.map((frame) => ({ header: decodeHeader(frame), body: frame.subarray(120) }));
    for (const length of [1, 2, 7, 64, 119, 120, 121, 1_000, bytes.length]) {
      expect(framesIn(bytes, length), String(length)).to.deep.equal(whole);
    }
  });

  it("tell of servers what they are", () => {
    const [greeting, routes] = answersTo("connect");
    const [backend] = decodeHandshake(greeting!).backends;
    expect(decodeHandshake(greeting!)).to.deep.include({ perNode: 1, addresses: [{ host: "127.0.0.1", port: 22001 }] });
    expect(backend).to.include({ backend: 1, group: 1, isGone: false });
    expect(backend?.ids[0]?.toString("hex")).to.match(/^e05a86c8.{112}92b0da7c$/);
    expect(decodeRouteList(routes!)).to.deep.equal(decodeRouteList(greeting!.subarray(0, 40)));
    const gone = Buffer.from("0100000002000000000000000100000000000000", "hex");
    expect(decodeBackends(gone)).to.deep.equal([{ backend: 2, group: 0, isGone: true, ids: [] }]);
  });

  it("tell of objects what they are", () => {
    const time = { seconds: 1795278134, nanoseconds: 378986000 };
    expect(decodeFileInfo(answersTo("write")[0]!)).to.deep.equal({ size: 7, time });
    expect(decodeFileInfo(answersTo("lookup")[0]!)).to.deep.equal({ size: 7, time });
    expect(decodeContent(answersTo("read")[0]!)).to.deep.equal({
      time,
      totalSize: 7,
      offset: 0,
      bytes: Buffer.from('{"a":1}'),
    });
    expect(decodeFileInfo(answersTo("append")[0]!).size).to.equal(3);
    const [latest, part] = answersTo("readlatest");
    expect(decodeFileInfo(latest!).size).to.equal(10);
    expect(decodeContent(part!)).to.deep.include({ totalSize: 10, offset: 1, bytes: Buffer.from('"a"') });
    expect(answersTo("chunk").map((body) => decodeFileInfo(body).size)).to.deep.equal([0, 0, 10]);
    const [missing] = framesIn(exchanges["missing"]!.answered[0]!, 1);
    expect([missing?.header.status, missing?.body.length]).to.deep.equal([-2, 0]);
  });

  it("tell of tags what became of them", () => {
    const statuses = (name: string): readonly (readonly number[])[] =>
      answersTo(name)
        .filter(({ length }) => length > 0)
        .map(decodeIndexReply);
    expect(statuses("update")).to.deep.equal([[], [0], [0]]);
    expect(statuses("setempty")).to.deep.equal([[0, 0]]);
    const [object] = listIn(decodeMsgpack(answersTo("find")[0]!));
    const [version, found, entries] = listIn(object, 3);
    expect([version, bytesIn(found)]).to.deep.equal([1, id]);
    expect(listIn(entries)).to.deep.equal(tables(1).map((table) => [table, Buffer.from(key)]));
  });

  it("are those that the original client sends", () => {
    const wire = (name: string): readonly string[] => exchanges[name]!.sent.map((frame) => frame.toString("hex"));
    let transaction = 2;
    const frame = (command: number, of: Buffer, body: Buffer, backend = 0): string => {
      const head = { id: of, group: 1, backend, flags: 1, command, transaction: transaction++, size: body.length };
      return Buffer.concat([encodeHeader(head), body]).toString("hex");
    };
    const io = (command: number, attributes: Io, data = "", of = id): string =>
      frame(command, of, Buffer.concat([encodeIo({ size: data.length, ...attributes }), Buffer.from(data)]), 1);
    const data = Buffer.from(key);
    const requests: Readonly<Record<string, () => readonly string[]>> = {
      write: () => [io(4, { id, time: { seconds: 1795278134, nanoseconds: 378986000 } }, '{"a":1}')],
      read: () => [io(5, { parent: id, id })],
      lookup: () => [frame(1, id, Buffer.alloc(0))],
      append: () => [io(4, { id, time: timeOf("append", 0), flags: 2 }, "XYZ")],
      readlatest: () => [frame(1, id, Buffer.alloc(0)), io(5, { parent: id, id, offset: 1, size: 3 })],
      remove: () => [io(11, { parent: id, id })],
      missing: () => [io(5, { parent: id, id })],
      chunk: () =>
        [
          { flags: 0x210, num: 10, offset: 0, data: "aaaa" },
          { flags: 0x200, num: 8, offset: 4, data: "bbbb" },
          { flags: 0x220, num: 10, offset: 8, data: "cc" },
        ].map(({ data: chunk, ...rest }, index) =>
          io(4, { ...rest, id: bigId(), time: timeOf("chunk", index) }, chunk, bigId()),
        ),
      update: () => [
        frame(20, objectTableId(id), encodeIndexRequest({ id, group: 1, flags: 4, entries: tags.map((tag) => ({ id: tag, data })) })),
        ...tables(1).map((table) =>
          frame(21, table, encodeIndexRequest({ id, shard: 1, shards: 2, entries: [{ id: table, flags: 1, shard: 1, shards: 2, data }] })),
        ),
      ],
      setempty: () => [frame(20, objectTableId(id), encodeIndexRequest({ id, group: 1, entries: [] }))],
      // The original packs both shards into one frame, which is right only where one backend has both.
      find: () => {
        const parts = [0, 1].map((shard) => encodeIndexRequest({ id: tables(shard)[0]!, group: 1, flags: shard === 0 ? 9 : 1, entries: tables(shard).map((table) => ({ id: table })) })); // prettier-ignore
        return [frame(22, tables(0)[0]!, Buffer.concat(parts))];
      },
    }; // prettier-ignore
    expect(Object.keys(requests).sort()).to.deep.equal(Object.keys(exchanges).filter((name) => name !== "connect").sort()); // prettier-ignore
    for (const [name, send] of Object.entries(requests)) {
      transaction = 2;
      expect(send(), name).to.deep.equal(wire(name));
    }
  });

  it("have the ids that the original computes", () => {
    expect(id.toString("hex")).to.match(/^73dd12f744559d1c.*447fbc2d55$/);
    expect(exchanges["update"]!.sent[0]!.subarray(0, 64).equals(objectTableId(id))).to.be.true;
    expect(shardOf(objectTableId(id), 2)).to.equal(1);
    expect(shardOf(objectTableId(id), 16)).to.equal(5);
    expect(idOf("", key).equals(id)).to.be.false;
    expect(tables(0).map((table) => table.subarray(0, 4).toString("hex"))).to.deep.equal(["00000000", "00000000"]);
  });
});

function timeOf(name: string, index: number): { readonly seconds: number; readonly nanoseconds: number } {
  const frame = exchanges[name]!.sent[index]!;
  return { seconds: Number(frame.readBigUInt64LE(264)), nanoseconds: Number(frame.readBigUInt64LE(272)) };
}

function bigId(): Buffer {
  return exchanges["chunk"]!.sent[0]!.subarray(0, 64);
}
