import type { UploadForm } from "../load/uploads.ts";
import type { Scale } from "../scale.ts";
import type { Done, Place, Store } from "../stores/store.ts";
import { megabytes } from "./downloads.ts";
import { PerTarget } from "./per-target.ts";
import type { Group, Sample, Target, Workload } from "./workload.ts";

const repository = "bench/stored";
const clients = 8;

/** Pulls from an object store and pushes into it, beside what its client alone reads and writes there. */
export function storeGroup(store: Store, scale: Scale): Group {
  return {
    name: store.name,
    store: { kind: store, redirect: false },
    workloads: [
      pull(store, scale, "downloads"),
      // As a list of parts, which Swift reads in another way than one object.
      ...(store.name === "swift" ? [pull(store, scale, "downloads", "streamed")] : []),
      push(store, scale, "monolithic"),
      push(store, scale, "streamed"),
      ...(store.name === "s3" ? [smallPushes(store, scale)] : []),
    ],
  };
}

/** Pulls by clients that registryctl sends to the store. */
export function storeRedirects(store: Store, scale: Scale): Group {
  return {
    name: `${store.name}-redirects`,
    store: { kind: store, redirect: true },
    workloads: [pull(store, scale, "redirectedDownloads")],
  };
}

function pull(
  store: Store,
  scale: Scale,
  job: "downloads" | "redirectedDownloads",
  form: keyof typeof ways = "monolithic",
): Workload {
  const stored = new PerTarget<string>();
  const isRedirected = job === "redirectedDownloads";
  const isUsual = form === "monolithic";
  return {
    name: `${store.name}-get${isRedirected ? "-redirect" : ""}${ways[form].suffix}`,
    title: `${store.title}: blob GET ${megabytes(scale.blob)}${isRedirected ? " by redirect" : ""}${isUsual ? "" : `, pushed by ${ways[form].how}`}`,
    unit: "MB/s",
    better: "more",
    per: "GB",
    async prepare(target) {
      const { load, server } = target;
      const size = scale.blob;
      if (isDirect(target, store)) {
        stored.set(target, (await placeOf(target).put(load, size)).result.object);
        return;
      }
      const { result } = await load.run("upload", { url: server.url, repository, size, form });
      stored.set(target, `/v2/${repository}/blobs/${result.digest}`);
    },
    async sample(target) {
      const { load, server } = target;
      const what = { times: scale.downloads.alone, length: scale.blob };
      if (isDirect(target, store))
        return moved(await placeOf(target).get(load, { object: stored.of(target), ...what }));
      return moved(await load.run(job, { url: server.url, path: stored.of(target), connections: 1, ...what }));
    },
  };
}

const ways = {
  monolithic: { suffix: "", how: "one PUT" },
  streamed: { suffix: "-streamed", how: "one PATCH" },
} as const;

function push(store: Store, scale: Scale, form: UploadForm & keyof typeof ways): Workload {
  const last = new PerTarget<string>();
  const { suffix, how } = ways[form];
  return {
    name: `${store.name}-push${suffix}`,
    title: `${store.title}: blob push ${megabytes(scale.blob)}, ${how}`,
    unit: "MB/s",
    better: "more",
    per: "GB",
    async before(target) {
      await placeOf(target).empty();
    },
    async sample(target) {
      const { load, server } = target;
      const size = scale.blob;
      if (isDirect(target, store)) return moved(await placeOf(target).put(load, size));
      const done = await load.run("upload", { url: server.url, repository, size, form });
      last.set(target, done.result.digest);
      return moved(done);
    },
    async verify(target) {
      if (isDirect(target, store)) return;
      const digest = last.of(target);
      const path = `/v2/${repository}/blobs/${digest}`;
      await target.load.run("verifyDownload", { url: target.server.url, path, digest });
    },
  };
}

function smallPushes(store: Store, scale: Scale): Workload {
  return {
    name: `${store.name}-small-blobs`,
    title: `${store.title}: ${scale.smallBlobs} blobs of 4 KiB, ${clients} at a time`,
    unit: "blobs/s",
    better: "more",
    per: "1000",
    async sample(target) {
      const what = { count: scale.smallBlobs, size: 4096, connections: clients };
      const done = isDirect(target, store)
        ? await placeOf(target).putMany?.(target.load, what)
        : await target.load.run("pushBlobs", { url: target.server.url, repository, ...what });
      if (!done) throw new Error(`${store.client} stores one object at a time`);
      const { count, seconds } = done.result;
      return { value: count / seconds, work: count / 1000, ...client(done) };
    },
  };
}

function isDirect({ contestant }: Target, store: Store): boolean {
  return contestant.name === store.client;
}

function placeOf({ contestant, server }: Target): Place {
  if (!server.place) throw new Error(`${contestant.name} uses no object store`);
  return server.place;
}

function moved(done: Done<{ readonly bytes: number; readonly seconds: number }>): Sample {
  const { bytes, seconds } = done.result;
  return { value: bytes / seconds / 1e6, work: bytes / 1e9, ...client(done) };
}

function client({ result: { seconds }, cpuSeconds }: Done<{ readonly seconds: number }>): Pick<Sample, "client"> {
  return cpuSeconds === undefined ? {} : { client: { cpuSeconds, seconds } };
}
