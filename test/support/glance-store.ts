import type { Context } from "mocha";
import { glanceTuning, openGlance, type GlanceTuning } from "../../src/drivers/storage/glance/storage.ts";
import { connect } from "../../src/drivers/storage/glance/connect.ts";
import type { Image, Images } from "../../src/drivers/storage/glance/images.ts";
import { removeLeftovers } from "../../src/drivers/storage/glance/leftovers.ts";
import type { GlanceSettings } from "../../src/drivers/storage/glance/options.ts";
import { References } from "../../src/drivers/storage/glance/references.ts";
import type { LayerKeys } from "../../src/drivers/storage/layer-keys.ts";
import type { StorageDriver } from "../../src/drivers/storage/driver.ts";
import { openLocal } from "../../src/drivers/storage/local.ts";
import { openSwift } from "../../src/drivers/storage/swift.ts";
import { Glance } from "./glance.ts";
import { Keystone, type KeystoneUser } from "./keystone.ts";
import { removeFolder, temporaryFolder } from "./program.ts";
import { startSwiftWithKeystone, type SwiftCloud } from "./swift-cloud.ts";

/** Every key that `isLayer` names is an image of Glance, wherever it lies; those that `isUpload` names are on their way to one. */
export function layersWhere(isLayer: (key: string) => boolean, isUpload: typeof isLayer = () => false): LayerKeys {
  return {
    isLayer,
    below: () => "many",
    uploadOf: (key) => (isUpload(key) ? key : undefined),
    title: () => "an object of a test",
  };
}

/**
 * A Glance with its Keystone, and stores of layers on it, each with its other objects in a folder or a container of its
 * own.
 */
export class GlanceCloud {
  readonly keystone: Keystone;
  readonly glance: Glance;
  readonly #swift: SwiftCloud | undefined;
  readonly #folders: string[] = [];

  private constructor(keystone: Keystone, glance: Glance, swift?: SwiftCloud) {
    this.keystone = keystone;
    this.glance = glance;
    this.#swift = swift;
  }

  /** As `Glance.start`, with folders. Skips the suite when one of them is not installed. */
  static async start(context: Context, asksAlways = false): Promise<GlanceCloud> {
    const keystone = await Keystone.start(context);
    try {
      return new GlanceCloud(keystone, await Glance.start(context, keystone, asksAlways));
    } catch (error) {
      await keystone.stop();
      throw error;
    }
  }

  /** As `start`, with containers of a Swift that has the same Keystone. */
  static async startWithSwift(context: Context): Promise<GlanceCloud> {
    const swift = await startSwiftWithKeystone(context);
    try {
      return new GlanceCloud(swift.keystone, await Glance.start(context, swift.keystone), swift);
    } catch (error) {
      await swift.stop();
      throw error;
    }
  }

  /** What the driver is opened with, as that user; `port` is Glance's own, or that of a proxy before it. */
  settings(user: KeystoneUser = this.keystone.user, port?: number): GlanceSettings {
    return {
      storage_alternate: this.#swift ? "swift" : "local",
      swift_authurl: this.keystone.authUrl,
      swift_user: user.name,
      swift_password: user.password,
      swift_tenant_name: user.project,
      ...(port !== undefined && { glance_url: `http://127.0.0.1:${port}` }),
    };
  }

  /** Opens a store whose alternate is new; `settings` are those above, but for what it says otherwise. */
  async open(tuning: Partial<GlanceTuning> = {}, settings: Partial<GlanceSettings> = {}): Promise<StorageDriver> {
    const alternate = await (this.#swift ? openSwift(this.#swift.settings()) : openLocal(await this.folder()));
    return await openGlance({ ...this.settings(), ...settings }, alternate, tuning);
  }

  /** Deletes all images that are not in the middle of their upload: listings look through all of them. */
  async clear(): Promise<void> {
    await this.#speak(async (images) => {
      const all = await collected(images.all());
      await Promise.all(all.map(async ({ id }) => { await images.remove(id, "what a test left"); }));
    });
  } // prettier-ignore

  /** All images that have content. */
  async images(): Promise<readonly Image[]> {
    return await this.#speak(async (images) => await collected(images.all()));
  }

  /** Deletes what nobody has finished for a day before `now`; answers how many images those were. `alternate` has the uploads. */
  async removeLeftovers(now: number, alternate?: StorageDriver): Promise<number> {
    const references = alternate ? new References(alternate) : { has: () => Promise.resolve(false) };
    return await this.#speak(async (images) => await removeLeftovers(images, references, now));
  }

  async #speak<T>(work: (images: Images) => Promise<T>): Promise<T> {
    const { images, identity } = await connect(this.settings(), glanceTuning);
    try {
      return await work(images);
    } finally {
      await identity.close();
    }
  }

  /** A folder that goes when all is stopped. */
  async folder(): Promise<string> {
    const folder = await temporaryFolder("glance-alternate");
    this.#folders.push(folder);
    return folder;
  }

  async stop(): Promise<void> {
    await this.glance.stop();
    await (this.#swift ?? this.keystone).stop();
    for (const folder of this.#folders) await removeFolder(folder);
  }
}

async function collected<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
