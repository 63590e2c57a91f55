import { access, constants, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import type { Middleware } from "koa";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { upstreamsOf } from "../config/mirror-options.ts";
import type { Settings } from "../config/schema.ts";
import type { Log } from "../log.ts";
import { Documents } from "../registry/documents.ts";
import type { Materialise } from "../registry/images.ts";
import type { Turns } from "../registry/keyed-lock.ts";
import type { BlobStore } from "../registry/linked-blobs.ts";
import type { ManifestStore } from "../registry/manifests.ts";
import type { TagStore } from "../registry/oci-tags.ts";
import type { Bring } from "../registry/bridge/v1-translation.ts";
import type { ReferrerStore } from "../registry/referrers.ts";
import type { Registry } from "../registry/registry.ts";
import { MirroredBlobs } from "./blobs.ts";
import { Connection } from "./connection.ts";
import { anonymous, fixedLogin, helperLogin, type Credentials } from "./credentials.ts";
import { keepEvicting } from "./eviction.ts";
import { MirroredManifests } from "./manifests.ts";
import { unmetered, type MirrorMeter } from "./meter.ts";
import type { Peers } from "./peers.ts";
import { MirrorRecords } from "./records.ts";
import { MirroredReferrers } from "./referrers.ts";
import { requests } from "./requests.ts";
import { MirroredTags } from "./tags.ts";
import { Upstream } from "./upstream.ts";
import { isDockerHub, Upstreams, type Place } from "./upstreams.ts";
import { V1Layers } from "./v1-layers.ts";
import { V1Mirror } from "./v1-mirror.ts";
import { V1Source } from "./v1-source.ts";
import { manifestsOfV1, ociTagsOfV1, repositoriesOfV1, tagsOfV1 } from "./v1-stores.ts";
import { v1View } from "./v1-view.ts";

/** What other registries have, as parts of a registry that serve it as if it were here. */
export interface Mirror {
  readonly manifests: ManifestStore;
  readonly linkedBlobs: BlobStore;
  readonly ociTags: TagStore;
  readonly referrers: ReferrerStore;
  /** What V1 is served from, where it isn't the registry's own. */
  readonly v1: ReturnType<typeof v1View> & Partial<Pick<V1Mirror, "arriving">>;
  /** As the bridge's `Bring`. */
  readonly bring: Bring;
  /** As an image's `Materialise`. */
  readonly bringImage: Materialise;
  /** Stands before access control: it says which repository a request is about. */
  readonly middleware: Middleware;
  /** Gives up what is on its way. */
  close(): Promise<void>;
}

/** What a mirror works with. */
export interface MirrorParts {
  readonly settings: NonNullable<Settings["mirroring"]>;
  /** The folder of the configuration file. */
  readonly folder: string;
  readonly registry: Registry;
  readonly driver: StorageDriver;
  readonly turns: Turns;
  /** Whether this is the process that does what is to be done once. */
  readonly isFirst: boolean;
  readonly log: Log;
  readonly meter?: MirrorMeter | undefined;
  /** The other processes of this server. */
  readonly peers?: Peers | undefined;
}

type UpstreamSettings = ReturnType<typeof upstreamsOf>[number];

/** Makes the mirror that the configuration describes. Asks nobody yet. Rejects when a file that it names can't be read. */
export async function openMirror(parts: MirrorParts): Promise<Mirror> {
  const { settings, folder, registry, driver, turns, isFirst, log, meter = unmetered, peers } = parts;
  const opened: Connection[] = [];
  const places: Place[] = [];
  for (const each of upstreamsOf(settings)) {
    const { url, ...user } = reached(each);
    const connection = await connect(each, url, { folder, meter });
    opened.push(connection);
    const credentials = credentialsOf({ ...each, ...user }, folder);
    const index = each.index === undefined ? undefined : new URL(each.index);
    const isV1 = each.protocol === "v1";
    places.push({
      ...placeOf(each, settings, url),
      upstream: isV1 ? undefined : new Upstream({ url, connection, credentials, log, meter }),
      v1: isV1 ? new V1Source({ url, index, connection, credentials }) : undefined,
    });
  }
  const upstreams = new Upstreams(places);
  const records = new MirrorRecords(driver, turns);
  const spool = settings.spool === undefined ? tmpdir() : resolve(folder, settings.spool);
  await access(spool, constants.W_OK).catch((cause: unknown) => {
    throw new Error(`mirroring.spool: ${spool} can't be written to`, { cause });
  });
  const blobs = await MirroredBlobs.open({ ...registry, own: registry.linkedBlobs, driver, upstreams, records, folder: spool, log, meter, peers }); // prettier-ignore
  const limits = { maxAge: milliseconds(settings.max_age), maxSize: settings.max_size };
  const isLimited = limits.maxAge !== undefined || limits.maxSize !== undefined;
  const eviction = isFirst && isLimited ? keepEvicting({ driver, documents: new Documents(driver), manifests: registry.manifests, records, limits, log, meter }) : undefined; // prettier-ignore
  const manifests = new MirroredManifests({ own: registry.manifests, tags: registry.ociTags, blobs, upstreams, records, turns, log, meter }); // prettier-ignore
  const ociTags = new MirroredTags({ own: registry.ociTags, upstreams, log, meter });
  const view = v1View({ ...registry, manifests, ociTags, upstreams });
  const hasV1 = places.some((place) => place.v1);
  // Without a V1 source there is nothing to tell others of.
  const ofImages = { ...registry.own, log, meter, peers: hasV1 ? peers : undefined };
  const layers = await V1Layers.open({
    ...ofImages,
    folder: spool,
    turns,
    onKept: async (id) => {
      await v1.keepTags(id);
    },
  });
  const v1 = new V1Mirror({
    ...ofImages,
    layers,
    ownTags: registry.own.tags,
    tags: registry.tags,
    records,
    originOf: upstreams.findV1.bind(upstreams),
  });
  const ofV1 = { v1, upstreams, images: registry.images };
  return {
    linkedBlobs: blobs,
    manifests: manifestsOfV1(manifests, ofV1),
    referrers: new MirroredReferrers({ own: registry.referrers, manifests, upstreams, log, meter }),
    ociTags: ociTagsOfV1(ociTags, ofV1),
    v1: {
      tags: tagsOfV1(view.tags, ofV1),
      repositories: repositoriesOfV1(view.repositories, registry.tags, ofV1),
      ...(hasV1 && { arriving: v1.arriving.bind(v1) }),
    },
    bringImage: async (id) => await v1.bring(id),
    bring: async (manifest, kind, digest) => {
      const { repositories = [] } = (await records.blob(manifest)) ?? {};
      for (const name of repositories.filter((each) => upstreams.find(each) !== undefined)) {
        try {
          if (kind === "blob") await blobs.bring(name, digest);
          else await manifests.get(name, { kind: "digest", digest });
          return;
        } catch (error) {
          log.warn(
            { repository: name, digest, reason: String(error) },
            "What an image of V1 needs could not be fetched",
          );
        }
      }
    },
    middleware: requests(upstreams),
    close: async () => {
      await eviction?.close();
      await blobs.close();
      await layers.close();
      for (const connection of opened) await connection.close();
    },
  };
}

function placeOf(each: UpstreamSettings, settings: MirrorParts["settings"], url: URL): Omit<Place, "upstream" | "v1"> {
  return {
    prefix: each.prefix ?? "",
    hosts: [url.host, ...each.hosts],
    repositories: each.repositories,
    tagsLifetime: (each.tags_cache_ttl ?? settings.tags_cache_ttl) * 1000,
    push: each.push,
  };
}

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

async function connect(
  { ca, proxy, index }: UpstreamSettings,
  { host: who }: URL,
  { folder, meter }: { readonly folder: string; readonly meter: MirrorMeter },
): Promise<Connection> {
  const file = ca === undefined ? undefined : resolve(folder, ca);
  try {
    const others = index === undefined ? [] : [new URL(index).host];
    return new Connection({
      who,
      others,
      ca: file === undefined ? undefined : await readFile(file, "utf8"),
      proxy,
      meter,
    });
  } catch (cause) {
    throw new Error(`mirroring: the certificates of ca can't be read: ${file ?? ""}`, { cause });
  }
}

function credentialsOf(
  { username, password, credential_helper: helper, url }: UpstreamSettings,
  folder: string,
): Credentials {
  if (helper !== undefined) {
    const { host } = new URL(url);
    const program = helper.includes("/") ? resolve(folder, helper) : helper;
    return helperLogin(program, isDockerHub(host) ? "https://index.docker.io/v1/" : host);
  }
  return username === undefined || password === undefined ? anonymous : fixedLogin(username, password);
}

/** Where an upstream is: what people call Docker Hub is not where its registry is. A user in the URL is none of it. */
function reached({ url: text }: UpstreamSettings) {
  const url = new URL(text);
  const { username, password } = url;
  if (url.protocol === "https:" && isDockerHub(url.host)) url.host = "registry-1.docker.io";
  [url.username, url.password] = ["", ""];
  if (username === "") return { url };
  return { url, username: decodeURIComponent(username), password: decodeURIComponent(password) };
}
