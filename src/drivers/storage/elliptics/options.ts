import { z } from "zod";
import { option } from "../../option.ts";
import { logLevels } from "./event-log.ts";
import { parseRemote } from "./remotes.ts";

const path = z.string().min(1).meta({ format: "path" });
const threads = z.int().min(1).default(2);
const unusedThreads = "Accepted for older files, not used: this client has no threads.";
const seconds = z.int().min(1).max(86_400).default(60);

/** Host and port, then perhaps a family. */
const remotes = z
  .union([z.record(z.string(), z.union([z.int(), z.string()])), z.array(z.string()), z.string()])
  .transform((value, context) => {
    const texts = Array.isArray(value)
      ? value
      : typeof value === "string"
        ? words(value)
        : Object.entries(value).map(([host, port]) => `${host.includes(":") ? `[${host}]` : host}:${port}`);
    for (const text of texts) {
      if (!parseRemote(text, 2))
        context.addIssue(`${JSON.stringify(text)} is no node such as elliptics.example.com:1025:2`);
    }
    if (texts.length === 0) context.addIssue("there is no node");
    return texts;
  });

const groups = z
  .union([z.array(z.union([z.int(), z.string()])), z.int(), z.string()])
  .transform((value, context): readonly number[] => {
    const list = Array.isArray(value) ? value : [value];
    const numbers = list.flatMap((item) =>
      typeof item === "number" ? [item] : words(item.replace(/[[\]:]/g, " ")).map(Number),
    );
    const wrong = numbers.find((number) => !Number.isInteger(number) || number < 1 || number > 0xff_ff_ff_ff);
    if (wrong !== undefined || numbers.length === 0) context.addIssue("groups are whole numbers such as 1, 2");
    return [...new Set(numbers)];
  });

/** Flags by the bits that they have as a number. The README of the original driver calls one of them by another name. */
const nodeFlags: Readonly<Record<string, number>> = {
  join_network: 1,
  no_route_list: 2,
  mix_states: 4,
  mix_stats: 4,
  no_csum: 8,
  randomize_states: 32,
  random_states: 32,
  keeps_ids_in_cluster: 64,
};

const flags = z.union([z.array(z.string()), z.int().min(0), z.string()]).transform((value, context) => {
  if (typeof value === "number") return value;
  return (Array.isArray(value) ? value : words(value)).reduce((mask, name) => {
    const bit = /^\d+$/.test(name) ? Number(name) : Object.hasOwn(nodeFlags, name) ? nodeFlags[name] : undefined;
    if (bit === undefined)
      context.addIssue(`${JSON.stringify(name)} is no flag: there are ${Object.keys(nodeFlags).join(", ")}`);
    return mask | (bit ?? 0);
  }, 0);
});

/** The options of `storage: elliptics`, as the Python registry's driver had them. */
export const ellipticsOptions = {
  elliptics_nodes: option(remotes.optional(), {
    description:
      "The nodes to connect to, which tell of the others: a map such as {host: 1025}, a list, or a text such as host:1025:2 [::1]:1025:10 with spaces between them; the last number is the family, 2 for IPv4 and 10 for IPv6.",
    env: ["ELLIPTICS_NODES"],
  }),
  elliptics_groups: option(groups.default([1]), {
    description:
      "The groups that keep a copy of everything each, such as [1, 2] or 1,2. More than half of them have to take what is written, and one has to have what is read.",
    env: ["ELLIPTICS_GROUPS"],
  }),
  elliptics_namespace: option(z.string().default("DOCKER"), {
    description: "What keys are kept apart by from those of other users of the same nodes.",
    env: ["ELLIPTICS_NAMESPACE"],
  }),
  elliptics_wait_timeout: option(seconds, {
    description: "How many seconds an answer is waited for.",
    env: ["ELLIPTICS_WAIT_TIMEOUT"],
  }),
  elliptics_check_timeout: option(seconds, {
    description: "After how many seconds nodes are asked again which others there are.",
    env: ["ELLIPTICS_CHECK_TIMEOUT"],
  }),
  elliptics_addr_family: option(z.union([z.literal(2), z.literal(10)]).default(2), {
    description: "The family of nodes that name none: 2 for IPv4, 10 for IPv6.",
    env: ["ELLIPTICS_ADDR_FAMILY"],
  }),
  elliptics_node_flags: option(flags.default(0), {
    description:
      "Names of flags, or their number: no_route_list asks nodes for no others, mix_states and randomize_states read from another group each time; the rest mean nothing here.",
    env: ["ELLIPTICS_NODE_FLAGS"],
  }),
  elliptics_logfile: option(path.default("/dev/stderr"), {
    description: "The file that is told what happens to connections.",
    env: ["ELLIPTICS_LOGFILE"],
  }),
  elliptics_verbosity: option(z.union([z.int().min(0).max(10), z.enum(logLevels)]).default(4), {
    description:
      "What it is told: 0 or debug is everything, then 1 or notice, 2 or info, 3 or warning; 4 or error is least.",
    env: ["ELLIPTICS_VERBOSITY"],
    aliases: ["elliptics_loglevel"],
  }),
  elliptics_io_thread_num: option(threads, { description: unusedThreads, env: ["ELLIPTICS_IO_THREAD_NUM"] }),
  elliptics_net_thread_num: option(threads, { description: unusedThreads, env: ["ELLIPTICS_NET_THREAD_NUM"] }),
  elliptics_nonblocking_io_thread_num: option(threads, {
    description: unusedThreads,
    env: ["ELLIPTICS_NONBLOCKING_IO_THREAD_NUM"],
  }),
};

/** What the driver is opened with. */
export const ellipticsSchema = z.object(ellipticsOptions);

export type EllipticsSettings = z.output<typeof ellipticsSchema>;

/** Flags that this client heeds. */
export const nodeFlag = { noRouteList: 2, mixStates: 4 | 32 } as const;

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}
