import type { StorageDriver } from "../../../drivers/storage/driver.ts";
import { DriverError } from "../../../drivers/storage/errors.ts";
import { RegistryError } from "../../errors.ts";
import { groups } from "../groups.ts";
import type { Images } from "../images.ts";
import { isImageId, parseTagName, type ImageId, type RepositoryName, type TagName } from "../names.ts";
import { isOciName } from "../oci-names.ts";
import { imagesPrefix } from "../paths.ts";
import type { Repositories } from "../repositories.ts";
import type { Tags } from "../tags.ts";
import type { Bridge } from "./bridge.ts";
import { AdoptionRun, type AdoptionCounts, type AdoptionOptions } from "./adoption-run.ts";
import type { ImageChecks } from "./image-check.ts";
import { nameMisfit, tagMisfit, v1RepositoryOf, type Misfit } from "./names.ts";
import { placeOf, problem, type Problem } from "./problems.ts";
import type { BridgeRecords } from "./records.ts";
import type { V1Walk } from "./v1-walk.ts";

/** Tags that are looked at side by side: while one waits for the disk another is unpacked. */
const atOnce = 8;

/**
 * Goes through all tags of a V1 store, tells what is wrong with them, and with `depth: "adopt"` makes each ready for V2.
 * What was done before is not done again, so that it can be cut short anywhere and begun anew; files of the Python
 * registry are never changed. Of images only their ids are held in memory.
 */
export class Adoption {
  readonly #driver: StorageDriver;
  readonly #repositories: Repositories;
  readonly #tags: Tags;
  readonly #images: Images;
  readonly #walk: V1Walk;
  readonly #bridge: Bridge;
  readonly #checks: ImageChecks;
  readonly #records: BridgeRecords;

  constructor(parts: {
    readonly driver: StorageDriver;
    /** V1's own. */
    readonly repositories: Repositories;
    readonly tags: Tags;
    /** Must not make images that are not there. */
    readonly images: Images;
    readonly walk: V1Walk;
    readonly bridge: Bridge;
    readonly checks: ImageChecks;
    readonly records: BridgeRecords;
  }) {
    this.#driver = parts.driver;
    this.#repositories = parts.repositories;
    this.#tags = parts.tags;
    this.#images = parts.images;
    this.#walk = parts.walk;
    this.#bridge = parts.bridge;
    this.#checks = parts.checks;
    this.#records = parts.records;
  }

  /** Rejects as the storage does, or with the signal's reason; all that was done until then stays done. */
  async run(options: AdoptionOptions): Promise<AdoptionCounts> {
    const { tagged, tags, bytes } = await this.#survey(options.signal);
    options.onPlan({ bytes, tags });
    const run = new AdoptionRun(options, this.#checks);
    for await (const repository of this.#repositories.all()) {
      run.counts.repositories++;
      const misfit = nameMisfit(repository);
      if (misfit) {
        const taken = (await this.#isTaken(misfit.suggestion)) ? ", if that name weren't taken" : "";
        const place = { ...placeOf(repository), suggestion: misfit.suggestion };
        run.tell(problem("name-unspellable", `${misfitText(misfit, "it")}${taken}`, place));
      }
      for await (const group of groups(this.#walk.tags(repository), atOnce)) {
        options.signal.throwIfAborted();
        await settled(
          group.map(async (tag) => {
            await this.#tag(run, repository, tag);
          }),
        );
        options.onStep({ tags: group.length });
      }
    }
    await this.#strays(run, tagged);
    return run.counts;
  }

  /** The images that tags lead to, and how much of their layers has to be read. */
  async #survey(signal: AbortSignal) {
    const tagged = new Set<ImageId>();
    let [tags, bytes] = [0, 0];
    for await (const repository of this.#repositories.all()) {
      for await (const group of groups(this.#walk.tags(repository), atOnce)) {
        signal.throwIfAborted();
        tags += group.length;
        const chains = await Promise.all(group.map(async (tag) => await this.#walk.chain(repository, tag)));
        const fresh = new Set(chains.flat().filter((id) => !tagged.has(id)));
        for (const id of fresh) tagged.add(id);
        for await (const ids of groups(fresh, atOnce)) {
          for (const count of await Promise.all(ids.map(async (id) => await this.#checks.bytesToRead(id))))
            bytes += count;
        }
      }
    }
    return { tagged, tags, bytes };
  }

  async #tag(run: AdoptionRun, repository: RepositoryName, text: string): Promise<void> {
    run.counts.tags++;
    const misfit = tagMisfit(text as TagName);
    if (misfit)
      run.tell(
        problem("tag-unspellable", misfitText(misfit, "the tag"), {
          ...placeOf(repository, text),
          suggestion: misfit.suggestion,
        }),
      );
    const chain = await this.#walk.chain(repository, text);
    const [image] = chain;
    if (image === undefined) {
      run.breaks(
        problem(
          "tag-dangling",
          "the tag names no image: clients are told that it does not exist",
          placeOf(repository, text),
        ),
      );
      return;
    }
    const place = placeOf(repository, text, image);
    let isBroken = false;
    for (const id of [...chain].reverse()) {
      const { broken } = await run.check(id, place);
      if (!broken) continue;
      isBroken = true;
      run.tell(
        problem(
          broken.kind,
          `${broken.message}: ${id === image ? "the tag" : "the tag, which is built on it,"} can't be pulled until it is pushed again`,
          { ...place, image: id },
        ),
      );
    }
    if (isBroken) run.counts.broken++;
    else await this.#prepare(run, repository, parseTagName(text), place);
  }

  async #prepare(run: AdoptionRun, repository: RepositoryName, tag: TagName, place: Partial<Problem>): Promise<void> {
    const { depth, signal } = run.options;
    try {
      const { manifest } =
        depth === "adopt"
          ? await this.#bridge.prepare(repository, tag)
          : { manifest: await this.#known(repository, tag) };
      run.counts.sound++;
      if (manifest !== undefined) run.counts.prepared++;
    } catch (error) {
      signal.throwIfAborted();
      // What the storage fails with says nothing of the image.
      if (!(error instanceof Error) || error instanceof DriverError) throw error;
      const reason = error instanceof RegistryError ? (error.detail ?? error.message) : error.message;
      run.breaks(problem("image-untranslatable", `${reason}: clients of today can't pull the tag`, place));
    }
  }

  async #isTaken(name: string): Promise<boolean> {
    const other = isOciName(name) ? v1RepositoryOf(name) : undefined;
    return other !== undefined && (await this.#repositories.exists(other));
  }

  async #known(repository: RepositoryName, tag: TagName) {
    return await this.#bridge.knownManifestOf(await this.#tags.image(repository, tag));
  }

  /** What no tag leads to. */
  async #strays(run: AdoptionRun, tagged: ReadonlySet<ImageId>): Promise<void> {
    const { counts, options } = run;
    for await (const group of groups(this.#driver.children(imagesPrefix), 32)) {
      options.signal.throwIfAborted();
      const ids = group.filter(isImageId);
      counts.images += ids.length;
      const strays = ids.filter((id) => !tagged.has(id));
      const found = await Promise.all(
        strays.map(async (id) => ({
          id,
          state: await this.#images.state(id),
          isOfV2: (await this.#records.source(id)) !== undefined,
        })),
      );
      for (const { id, state, isOfV2 } of found) {
        if (isOfV2) continue;
        if (state === "complete") {
          counts.untaggedImages++;
          run.tell(
            problem("image-untagged", `no tag leads to image ${id}: only clients that know its id can pull it`, {
              image: id,
            }),
          );
        } else {
          counts.unfinishedPushes++;
          run.tell(
            problem(
              "push-abandoned",
              `the push of image ${id} never finished: nobody can pull it, and a client that pushes it again completes it`,
              { image: id },
            ),
          );
        }
      }
    }
  }
}

function misfitText({ reason, suggestion }: Misfit, subject: string): string {
  return `${reason}: clients of V1 alone can pull ${subject}, all could as ${suggestion}`;
}

/** Waits for all, so that nothing goes on behind the back of whoever is told of the first failure. */
async function settled(works: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) if (outcome.status === "rejected") throw outcome.reason;
}
