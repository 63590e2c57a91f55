import { Readable } from "node:stream";
import { resolveRange } from "../byte-range.ts";
import type { Append, ByteRange, Entry, Stat, StorageDriver } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import { Arrivals } from "./arrivals.ts";
import { connect, type ConnectionTuning } from "./connect.ts";
import { Contents } from "./contents.ts";
import type { Images } from "./images.ts";
import { joined } from "../joined.ts";
import { registryLayers, type LayerKeys } from "../layer-keys.ts";
import { Layers } from "./layers.ts";
import { removeLeftovers } from "./leftovers.ts";
import { glanceFeatures, type GlanceSettings } from "./options.ts";
import { merged, namesBelow, ordered, type Keyed } from "./ordered.ts";
import { PythonImages } from "./python-images.ts";
import { References } from "./references.ts";

/** What else a test may choose. */
export interface GlanceTuning extends ConnectionTuning {
  readonly keys: LayerKeys;
  /** What comes as no more bytes waits in the alternate until it is a layer. */
  readonly short: number;
  /** Deletes what killed processes left. */
  readonly cleansUp: boolean;
}

/** What the driver works with, but for what is said otherwise. */
export const glanceTuning: GlanceTuning = {
  keys: registryLayers,
  short: 262_144,
  cleansUp: true,
  pageSize: 500,
  idle: 60_000,
  attempts: 4,
  delay: 250,
};

/** How often images are looked through for what killed processes left, in milliseconds. */
const rounds = 3_600_000;

/**
 * Opens the store and asks Glance for an image: what only the operator can correct rejects here, while a server that does
 * not answer may do so later. From then on `alternate` is the driver's, and closed with it.
 */
export async function openGlance(
  settings: GlanceSettings,
  alternate: StorageDriver,
  tuning: Partial<GlanceTuning> = {},
): Promise<StorageDriver> {
  const { keys, short, cleansUp, ...connection } = { ...glanceTuning, ...tuning };
  let driver: GlanceStorage | undefined;
  try {
    const { images, identity } = await connect(settings, connection);
    driver = new GlanceStorage({ alternate, images, keys, short, cleansUp, disconnect: async () => { await identity.close(); } }); // prettier-ignore
    await images.ping();
  } catch (error) {
    if (driver && error instanceof DriverError && error.code === "UNAVAILABLE") return driver;
    await (driver ?? alternate).close();
    throw error;
  }
  return driver;
}

class GlanceStorage implements StorageDriver {
  readonly name = "glance";
  readonly features = glanceFeatures;
  readonly append?: Append;
  readonly #alternate: StorageDriver;
  readonly #images: Images;
  readonly #layers: Layers;
  readonly #references: References;
  readonly #arrivals: Arrivals;
  readonly #python: PythonImages;
  readonly #keys: LayerKeys;
  readonly #disconnect: () => Promise<void>;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(parts: {
    readonly alternate: StorageDriver;
    readonly images: Images;
    readonly keys: LayerKeys;
    readonly short: number;
    readonly cleansUp: boolean;
    readonly disconnect: () => Promise<void>;
  }) {
    this.#alternate = parts.alternate;
    this.#images = parts.images;
    this.#keys = parts.keys;
    this.#disconnect = parts.disconnect;
    this.#python = new PythonImages(this.#images, this.#alternate);
    const own = { ...parts, contents: new Contents(this.#images), references: new References(this.#alternate) };
    this.#references = own.references;
    this.#layers = new Layers({ ...own, python: this.#python });
    this.#arrivals = new Arrivals({ ...own, layers: this.#layers });
    const append = this.#alternate.append?.bind(this.#alternate);
    if (append) {
      this.append = async (key, size, source) => {
        if (await this.#isImage(key)) await this.#appendToImage(key, size, source);
        else await append(key, size, source);
      };
    }
    if (!parts.cleansUp) return;
    const cleanUp = (): void => {
      // What can't be deleted now is found the next time.
      removeLeftovers(this.#images, this.#references).catch(() => undefined);
    };
    this.#timer = setInterval(cleanUp, rounds);
    this.#timer.unref();
    setImmediate(cleanUp);
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    if (this.#isLayer(key)) return await this.#layers.read(key, range);
    if (this.#arrivals.has(key)) return await this.#arrivals.read(key, range);
    return await this.#orPython(
      async () => await this.#alternate.read(key, range),
      async () => {
        const { content, size } = await this.#python.document(key);
        const { start, end } = resolveRange(range, size);
        return Readable.from([content.subarray(start, end)], { objectMode: false });
      },
    );
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    if (this.#isLayer(key)) return await this.#layers.write(key, source, size);
    return await (this.#arrivals.has(key) ? this.#arrivals : this.#alternate).write(key, source, size);
  }

  async stat(key: string): Promise<Stat> {
    if (this.#isLayer(key)) return await this.#layers.stat(key);
    if (this.#arrivals.has(key)) return await this.#arrivals.stat(key);
    return await this.#orPython(
      async () => await this.#alternate.stat(key),
      async () => await this.#python.stat(key),
    );
  }

  list(prefix: string, after = ""): AsyncIterable<Entry> {
    const documents = ordered(
      () => this.#python.documents(prefix),
      after,
      (one) => one,
    );
    return merged<Entry>(this.#others(prefix, after), this.#layers.list(prefix, after), documents);
  }

  async *children(prefix: string, after = ""): AsyncGenerator<string> {
    const documents = ordered(
      () => namesBelow(this.#python.documents(prefix), prefix),
      after,
      (one) => one,
    );
    const others = keyed(this.#alternate.children(prefix, after));
    for await (const { key } of merged<Keyed>(others, this.#layers.children(prefix, after), documents)) yield key;
  }

  /** Within Glance and within the alternate nothing is moved but a name. What leaves one for the other is copied. */
  async move(from: string, to: string): Promise<void> {
    const [isLayer, becomesLayer] = [this.#isLayer(from), this.#isLayer(to)];
    if (isLayer && becomesLayer) {
      await this.#layers.move(from, to);
    } else if (becomesLayer && this.#arrivals.has(from)) {
      await this.#arrivals.move(from, to);
    } else if (!isLayer && !becomesLayer && !(await this.#isImage(from)) && !this.#arrivals.has(to)) {
      await this.#orPython(
        async () => { await this.#alternate.move(from, to); },
        async () => { await this.#copyThrough(from, to); },
      ); // prettier-ignore
      if (from !== to) await this.#python.deleteDocument(from);
    } else {
      await this.#copyThrough(from, to);
      if (from !== to) await this.delete(from);
    }
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#duplicate("copy", from, to);
  }

  async link(from: string, to: string): Promise<void> {
    await this.#duplicate("link", from, to);
  }

  async delete(key: string): Promise<void> {
    if (this.#isLayer(key)) {
      await this.#layers.delete(key);
      return;
    }
    if (this.#arrivals.has(key)) {
      await this.#arrivals.delete(key);
      return;
    }
    // First what would be seen again without the other.
    await this.#python.deleteDocument(key);
    await this.#alternate.delete(key);
  }

  async redirectUrl(): Promise<undefined> {
    await Promise.resolve();
    return undefined;
  }

  localPath(): undefined {
    return undefined;
  }

  async ping(): Promise<void> {
    await Promise.all([this.#images.ping(), this.#alternate.ping()]);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#disconnect();
    await this.#alternate.close();
  }

  #isLayer(key: string): boolean {
    return this.#keys.isLayer(key);
  }

  async #isImage(key: string): Promise<boolean> {
    return this.#isLayer(key) || (await this.#arrivals.isImage(key));
  }

  /** Glance copies nothing: what is, or becomes, an image comes here and goes back, with a buffer's worth of it in memory. */
  async #duplicate(operation: "copy" | "link", from: string, to: string): Promise<void> {
    if ([from, to].some((key) => this.#isLayer(key) || this.#arrivals.has(key))) {
      await this.#copyThrough(from, to);
      return;
    }
    await this.#orPython(
      async () => { await this.#alternate[operation](from, to); },
      async () => { await this.#copyThrough(from, to); },
    ); // prettier-ignore
  }

  async #copyThrough(from: string, to: string): Promise<void> {
    const { size } = await this.stat(from);
    if (from !== to) await this.write(to, await this.read(from), size);
  }

  /** Glance adds nothing to an image: a layer becomes a new one, and what is on its way to one goes on in the alternate. */
  async #appendToImage(key: string, size: number, source: AsyncIterable<Uint8Array>): Promise<void> {
    const all = size === 0 ? source : joined(await this.#first(key, size), source);
    if (this.#isLayer(key)) await this.#layers.write(key, all);
    else await this.#arrivals.replaced(key, async () => await this.#alternate.write(key, all));
  }

  async #first(key: string, size: number): Promise<AsyncIterable<Uint8Array>> {
    const known = await this.stat(key);
    if (known.size < size) throw new DriverError("NOT_FOUND", `${key} has no ${size} bytes`);
    return await this.read(key, { start: 0, end: size });
  }

  /** What the alternate has not, an image of the Python registry may have. */
  async #orPython<T>(work: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return await otherwise();
    }
  }

  /** A layer of the alternate's is one that was there before Glance was: nobody can read it. */
  async *#others(prefix: string, after: string): AsyncGenerator<Entry> {
    for await (const entry of this.#alternate.list(prefix, after)) {
      if (this.#isLayer(entry.key)) continue;
      const seen = this.#arrivals.has(entry.key) ? await this.#references.entry(entry) : entry;
      if (seen) yield seen;
    }
  }
}

async function* keyed(names: AsyncIterable<string>): AsyncGenerator<Keyed> {
  for await (const key of names) yield { key };
}
