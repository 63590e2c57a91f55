import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import { isDigest, verified, type Digest } from "../registry/digest.ts";
import { parseImageDocument, type ImageDocument, type ImagePush } from "../registry/image-push.ts";
import type { Images, Layer } from "../registry/images.ts";
import type { Turns } from "../registry/keyed-lock.ts";
import { isImageId, type ImageId } from "../registry/names.ts";
import { imageKey } from "../registry/paths.ts";
import { fetchBlob, type Arriving, type BlobFetch } from "./blob-fetch.ts";
import type { Answer } from "./connection.ts";
import { UpstreamFailure } from "./failure.ts";
import type { MirrorMeter } from "./meter.ts";
import { keptAnswer, PeerDesk, type Peers } from "./peers.ts";
import type { V1Origin } from "./v1-mirror.ts";

/** What images of V1 sources are fetched with. */
export interface V1LayerParts {
  /** Those that ask nobody for images that aren't there. */
  readonly images: Images;
  readonly push: ImagePush;
  /** Where bytes lie until they are kept. */
  readonly folder: string;
  readonly turns: Turns;
  readonly log: Log;
  readonly meter: MirrorMeter;
  /** The other processes of the server, which fetch the same. */
  readonly peers: Peers | undefined;
  /** Told of each image that is kept, before its last bytes are given away. */
  readonly onKept: (id: ImageId) => Promise<void>;
}

/** An image as its source describes it. */
interface Description {
  readonly document: ImageDocument;
  /** Of document and layer; undefined where the source does not tell. */
  readonly checksum: Digest | undefined;
}

interface Running extends BlobFetch {
  /** Undefined when the source has no such image. */
  readonly description: Promise<Description | undefined>;
  /** The image that has to be kept before it. */
  waitsFor: ImageId | undefined;
  /** Why it is not kept. */
  failed: { readonly error: unknown } | undefined;
}

/**
 * Images on their way from V1 sources: their layers are given to clients as they come, and kept as a client would push
 * them, after what they are built on. Of each image one fetch runs, however many want it, in whatever process of the server.
 */
export class V1Layers {
  readonly #parts: V1LayerParts;
  readonly #fetches = new Map<ImageId, Running>();
  readonly #closing = new AbortController();
  #desk: PeerDesk | undefined;

  private constructor(parts: V1LayerParts) {
    this.#parts = parts;
  }

  static async open(parts: V1LayerParts): Promise<V1Layers> {
    const layers = new V1Layers(parts);
    const running = (what: string) => (isImageId(what) ? layers.#running(what) : undefined);
    if (parts.peers) layers.#desk = await PeerDesk.open(parts.peers, running);
    return layers;
  }

  /** The image's document and checksum. Rejects with IMAGE_UNKNOWN, or a failure. */
  async describe(id: ImageId, origin: V1Origin): Promise<Description> {
    const description = await this.#fetch(id, origin).description;
    if (!description) throw new RegistryError("IMAGE_UNKNOWN");
    return description;
  }

  /** The layer, as it comes. Rejects with IMAGE_UNKNOWN, or a failure. */
  async layer(id: ImageId, origin: V1Origin): Promise<Layer> {
    const { images } = this.#parts;
    const fetch = this.#fetch(id, origin);
    const size = await fetch.size;
    const parent = (await fetch.description)?.document.parent;
    if (size === undefined) throw new RegistryError("IMAGE_UNKNOWN");
    // Who has got all of an image finds it kept; but what it is built on may take long.
    const isNext = parent === undefined || (await images.state(parent)) === "complete";
    return {
      key: imageKey(id, "layer"),
      size,
      open: async (range) => {
        if (this.#running(id) !== fetch && (await images.state(id)) === "complete") {
          return await (await images.layer(id)).open(range);
        }
        return fetch.open(range, isNext ? fetch.ended : undefined);
      },
      redirectUrl: async () => {
        await Promise.resolve(undefined);
      },
      localPath: undefined,
    };
  }

  /** Waits until the image is kept; answers whether the source has it. Rejects with why it can't be. */
  async bring(id: ImageId, origin: V1Origin): Promise<boolean> {
    const fetch = this.#fetch(id, origin);
    const size = await fetch.size;
    await fetch.ended;
    if (fetch.failed) throw fetch.failed.error;
    return size !== undefined;
  }

  /** Gives up what is on its way. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const { ended } of [...this.#fetches.values()]) await ended;
    await this.#desk?.close();
  }

  #fetch(id: ImageId, origin: V1Origin): Running {
    const running = this.#running(id);
    if (running) return running;
    const { folder, log, meter } = this.#parts;
    const { source, name } = origin;
    const facts = { upstream: source.who, repository: name, image: id };
    const { signal } = this.#closing;
    const description = describedBy(id, origin, signal);
    // Whoever asks for it is told; nobody may.
    description.catch(() => undefined);
    const fetch = fetchBlob({
      who: source.who,
      what: `image ${id}`,
      ask: async (start) => ((await description) ? await this.#ask(id, origin, start) : undefined),
      verified: async function* (layer) {
        const { checksum, document } = (await description) ?? {};
        if (!checksum || !document) yield* layer;
        else yield* verified(layer, checksum, Buffer.concat([document.bytes, Buffer.from("\n")]));
      },
      folder,
      signal,
      onBytes: (count) => {
        meter.fetched(source.who, count);
      },
      keep: async (read, { isUpstreams }) => {
        // It ends when the others have kept it, unless they could not.
        if (!isUpstreams) await read(Infinity).next();
        const described = await description;
        if (described) await this.#keep(described, origin, read);
      },
      onError: (error) => {
        added.failed = { error };
        log.error({ ...facts, err: error }, "An image of the mirrored registry could not be kept");
      },
      onFailure: (error) => {
        added.failed = { error };
        if (!signal.aborted) log.warn({ ...facts, reason: String(error) }, "An image could not be fetched");
      },
    });
    const added: Running = Object.assign(fetch, { description, waitsFor: undefined, failed: undefined });
    this.#fetches.set(id, added);
    void fetch.ended.then(() => {
      if (this.#fetches.get(id) !== added) return;
      this.#fetches.delete(id);
      this.#desk?.ended(name, id);
    });
    return added;
  }

  /** From another process that fetches it already, or has just kept it, and else from the source. */
  async #ask(id: ImageId, { source, remoteName, name }: V1Origin, start: number): Promise<Arriving | undefined> {
    const { signal } = this.#closing;
    const kept = async () => await this.#kept(id, start);
    const others = await this.#desk?.ask(name, id, { start, signal, kept });
    if (others) return { answer: others, isUpstreams: false };
    const answer = await source.layer(remoteName, id, start, signal);
    return answer && { answer, isUpstreams: true };
  }

  async #kept(id: ImageId, start: number): Promise<Answer | undefined> {
    const { images } = this.#parts;
    return (await images.state(id)) === "complete" ? await keptAnswer(await images.layer(id), start) : undefined;
  }

  /** As a client would push it: it counts once its checksum is right. */
  async #keep(
    { document, checksum }: Description,
    origin: V1Origin,
    read: () => AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { images, push, turns, onKept } = this.#parts;
    const { id } = document;
    const isHere = async () => (await images.state(id)) === "complete";
    try {
      if (!(await isHere())) await this.#bringParent(document, origin);
      // Another process may do so, or have done.
      await turns.run(`fetching image ${id}`, async () => {
        if (await isHere()) return;
        await push.putDocument(document, async () => await Promise.resolve(true));
        const payload = await push.putLayer(id, read, false);
        await push.putChecksum(id, { kind: "payload", value: checksum ?? payload });
      });
    } catch (cause) {
      if (!(cause instanceof RegistryError)) throw cause;
      // Somebody has pushed it meanwhile.
      if (cause.code !== "IMAGE_EXISTS") throw broken(id, origin, cause);
    }
    await onKept(id);
  }

  async #bringParent({ id, parent }: ImageDocument, origin: V1Origin): Promise<void> {
    if (parent === undefined || (await this.#parts.images.state(parent)) === "complete") return;
    for (let next: ImageId | undefined = parent; next !== undefined; next = this.#fetches.get(next)?.waitsFor) {
      if (next === id) throw broken(id, origin, new Error("It is built on itself"));
    }
    const running = this.#running(id);
    if (running) running.waitsFor = parent;
    await this.bring(parent, origin);
  }

  /** The fetch that runs, unless nothing will come of it. */
  #running(id: ImageId): Running | undefined {
    const fetch = this.#fetches.get(id);
    return fetch?.hasFailed === true ? undefined : fetch;
  }
}

async function describedBy(id: ImageId, origin: V1Origin, signal: AbortSignal): Promise<Description | undefined> {
  const { source, remoteName } = origin;
  const told = await source.document(remoteName, id, signal);
  if (!told) return undefined;
  const { bytes, checksum } = told;
  try {
    if (checksum !== undefined && !isDigest(checksum)) throw new Error("Its checksum is none");
    return { document: parseImageDocument(id, bytes), checksum };
  } catch (cause) {
    throw broken(id, origin, cause);
  }
}

function broken(id: ImageId, { source, name }: V1Origin, cause: unknown): UpstreamFailure {
  return new UpstreamFailure("broken", `${source.who} does not give image ${id} of ${name} as it should be`, { cause });
}
