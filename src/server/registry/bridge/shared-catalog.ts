import { invalidWatch, type Watch } from "../../../drivers/storage/watches.ts";
import type { Catalog } from "../catalog.ts";
import { groups } from "../groups.ts";
import { repositoryOfText } from "../names.ts";
import { isOciName, type OciName } from "../oci-names.ts";
import type { OciTags } from "../oci-tags.ts";
import { repositoriesPrefix } from "../paths.ts";
import { merged } from "../merged.ts";
import { ociNamesOf, v1RepositoryOf } from "./names.ts";
import type { V1Names } from "./v1-names.ts";

const library = "library/";
/** So many names are looked at side by side. */
const atOnce = 16;

/** The repositories of both protocols, each once. */
export class SharedCatalog implements Pick<Catalog, "list"> {
  readonly #own: Catalog;
  readonly #ociTags: OciTags;
  readonly #v1Names: V1Names;

  constructor(parts: {
    /** Those of V2. */
    readonly catalog: Catalog;
    readonly ociTags: OciTags;
    readonly v1Names: V1Names;
  }) {
    this.#own = parts.catalog;
    this.#ociTags = parts.ociTags;
    this.#v1Names = parts.v1Names;
  }

  /**
   * The names in byte order, from the first beyond `after`, which need not exist: V2's, and those of V1 that V2 can spell
   * and that have a tag. What the answer depends on is added to `watch`.
   */
  async *list(after = "", watch: Watch = invalidWatch): AsyncGenerator<OciName> {
    const own = this.#own.list(after, watch);
    watch.addBelow(repositoriesPrefix);
    if (!(await this.#v1Names.hasAny())) yield* own;
    else {
      for await (const group of groups(merged(own, this.#v1Names.list(after)), atOnce)) {
        const areListed = await Promise.all(group.map(async (name) => await this.isListed(name)));
        yield* group.filter((_, index) => areListed[index]);
      }
    }
  }

  /**
   * Whether a repository is listed by this name. V1's `library/x` has two, and V2 clients may have asked for either: it is
   * `library/x`, unless V2 has tags of `x` and none of `library/x`; where V2 has tags of both, they are two repositories.
   */
  async isListed(name: OciName): Promise<boolean> {
    const repository = otherSpelling(name) === undefined ? undefined : v1RepositoryOf(name);
    if (!repository || !(await this.#v1Names.hasTags(repository))) return true;
    if (await this.#hasTags(name)) return true;
    return name.startsWith(library) && !(await this.#hasTags(name.slice(library.length)));
  }

  /**
   * By which name a repository that an event names is listed, and which other name of it is not; of a repository that V2
   * can spell it is one of V2's.
   */
  async listing(text: string): Promise<{ readonly listed: string; readonly hidden?: string }> {
    const quoted = text.includes("%") ? repositoryOfText(text) : undefined;
    const name = (quoted && ociNamesOf(quoted)[0]) ?? text;
    const other = otherSpelling(name);
    if (!isOciName(name) || other === undefined || !isOciName(other)) return { listed: name };
    if (!(await this.#v1Names.hasTags(v1RepositoryOf(name)))) return { listed: name };
    const [isListed, isOtherListed] = await Promise.all([this.isListed(name), this.isListed(other)]);
    if (!isListed) return { listed: other, hidden: name };
    return isOtherListed ? { listed: name } : { listed: name, hidden: other };
  }

  async #hasTags(name: string): Promise<boolean> {
    if (isOciName(name)) for await (const tag of this.#ociTags.list(name)) return tag !== "";
    return false;
  }
}

/** Of docker's own repositories. */
function otherSpelling(name: string): string | undefined {
  if (!name.includes("/")) return `${library}${name}`;
  const short = name.slice(library.length);
  return name.startsWith(library) && !short.includes("/") ? short : undefined;
}
