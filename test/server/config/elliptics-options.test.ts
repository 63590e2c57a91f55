import { expect } from "chai";
import { parseRemote } from "../../../src/drivers/storage/elliptics/remotes.ts";
import { evaluated, settingsFrom } from "./evaluated.ts";

const flavor = (options: string): string => `dev: {storage: elliptics, elliptics_nodes: 'host:1025:2', ${options}}`;

describe("the options of elliptics", () => {
  for (const [form, value, variable] of [
    ["a map", "{one: 1025, '::1': 1026}", undefined],
    ["a list", "['one:1025', '[::1]:1026']", undefined],
    ["a text", "'one:1025 [::1]:1026'", undefined],
    ["a map in a variable", "_env:NODES", "{one: 1025, '::1': 1026}"],
    ["a list in a variable", "_env:NODES", "['one:1025', '[::1]:1026']"],
    ["a text in a variable", "_env:NODES", "one:1025 [::1]:1026"],
  ] as const) {
    it(`name nodes by ${form}`, () => {
      const yaml = `dev: {storage: elliptics, elliptics_nodes: ${value}}`;
      const settings = settingsFrom(yaml, variable === undefined ? {} : { NODES: variable });
      expect(settings.elliptics_nodes).to.deep.equal(["one:1025", "[::1]:1026"]);
      expect(settings.elliptics_groups).to.deep.equal([1]);
    });
  }

  it("tell host, port and family apart, whatever brackets there are", () => {
    for (const [text, host, port, family] of [
      ["one:1025", "one", 1025, 4],
      ["one:1025:2", "one", 1025, 4],
      ["one:1025:10", "one", 1025, 6],
      ["192.0.2.1:2:2", "192.0.2.1", 2, 4],
      ["::1:1025:10", "::1", 1025, 6],
      ["[2001:DB8:0:0::1]:1025:10", "2001:db8::1", 1025, 6],
    ] as const) {
      expect(parseRemote(text, 2), text).to.deep.equal({ host, port, family });
    }
    expect(parseRemote("one:1025", 10)?.family).to.equal(6);
    for (const text of ["one", "one:0", "one:65536", ":1025", "one:port", "a b:1", "one:1025:3", "1:2:3:4"]) {
      expect(parseRemote(text, 2), text).to.equal(undefined);
    }
  });

  it("take groups as a list, as a text and as one number, each once", () => {
    for (const [text, groups] of [
      ["[1, 2]", [1, 2]],
      ["'[1, 2]'", [1, 2]],
      ["'1,2'", [1, 2]],
      ["'1 2 1'", [1, 2]],
      ["'1:2:3'", [1, 2, 3]],
      ["7", [7]],
    ] as const) {
      expect(settingsFrom(flavor(`elliptics_groups: ${text}`)).elliptics_groups, text).to.deep.equal(groups);
    }
  });

  it("take levels and flags by their names and numbers, and what the original's files call them", () => {
    const picked = (options: string): readonly unknown[] => {
      const { elliptics_verbosity: verbosity, elliptics_node_flags: flags } = settingsFrom(flavor(options));
      return [verbosity, flags];
    };
    expect(picked("elliptics_loglevel: INFO, elliptics_node_flags: mix_stats")).to.deep.equal(["info", 4]);
    expect(picked("elliptics_verbosity: 0, elliptics_node_flags: [mix_states, no_route_list]")).to.deep.equal([0, 6]);
    expect(picked("elliptics_node_flags: 6")).to.deep.equal([4, 6]);
  });

  it("are refused where they mean nothing, each with what it could be", () => {
    const wrong = {
      elliptics_nodes: "one",
      elliptics_groups: "first",
      elliptics_wait_timeout: "0",
      elliptics_addr_family: "4",
      elliptics_node_flags: "mix",
      elliptics_verbosity: "loud",
    };
    for (const [key, value] of Object.entries(wrong)) {
      const flavors = { dev: { storage: "elliptics", elliptics_nodes: "a:1", [key]: value } };
      const { problems } = evaluated(JSON.stringify(flavors));
      expect(problems.map((problem) => problem.key), key).to.deep.equal([key]); // prettier-ignore
    }
    expect(evaluated("dev: {storage: elliptics}").problems.map(({ key }) => key)).to.deep.equal(["elliptics_nodes"]);
  });

  it("about threads are taken, with one warning for all that say more than the original's sample", () => {
    const { problems, warnings } = evaluated(
      flavor("elliptics_io_thread_num: 8, elliptics_net_thread_num: 2, elliptics_nonblocking_io_thread_num: 4"),
    );
    expect(problems).to.deep.equal([]);
    expect(warnings.map(({ key }) => key)).to.deep.equal(["elliptics_io_thread_num"]);
    expect(warnings[0]?.problem).to.contain("nor elliptics_nonblocking_io_thread_num");
  });
});
