/** An image or artifact as both protocols call it. */
export interface ModelImage {
  readonly digest: string;
  /** Undefined for what V1 clients can't use. */
  readonly id: string | undefined;
}

const shortNames: Readonly<Record<string, string>> = { "library/x": "x" };

/** What clients of both protocols should see of a few repositories and tags, told as simply as it can be. */
export class BridgeModel {
  readonly names: readonly string[];
  readonly repositories: readonly string[];
  readonly #images: readonly ModelImage[];
  /** By `repository:tag`. */
  readonly #v1 = new Map<string, string>();
  readonly #v2 = new Map<string, string>();
  /** By `name@digest`: the manifests that a repository of V2 has. */
  readonly #manifests = new Set<string>();
  readonly #known = new Set<string>();

  constructor(repositories: readonly string[], images: readonly ModelImage[]) {
    this.repositories = repositories;
    this.names = repositories.flatMap((repository) => this.#namesOf(repository));
    this.#images = images;
  }

  pushV2(name: string, tag: string, digest: string): void {
    this.#v2.set(`${name}:${tag}`, digest);
    this.#have(name, digest);
  }

  tagV1(repository: string, tag: string, id: string): void {
    this.#v1.set(`${repository}:${tag}`, id);
    for (const name of this.#namesOf(repository)) this.#v2.delete(`${name}:${tag}`);
  }

  /** Answers whether there was one. */
  deleteTagV1(repository: string, tag: string): boolean {
    const found = [this.#v1.delete(`${repository}:${tag}`)];
    for (const name of this.#namesOf(repository)) found.push(this.#v2.delete(`${name}:${tag}`));
    return found.includes(true);
  }

  deleteTagV2(name: string, tag: string): boolean {
    const found = [this.#v1.delete(`${this.#repositoryOf(name)}:${tag}`), this.#v2.delete(`${name}:${tag}`)];
    return found.includes(true);
  }

  deleteManifest(name: string, digest: string, tags: readonly string[]): boolean {
    if (!this.#manifests.has(`${name}@${digest}`)) return false;
    for (const tag of tags.filter((each) => this.digestOf(name, each) === digest)) this.deleteTagV2(name, tag);
    this.#manifests.delete(`${name}@${digest}`);
    return true;
  }

  deleteRepository(repository: string, tags: readonly string[]): boolean {
    const found = this.existsInV1(repository);
    for (const tag of tags) this.deleteTagV1(repository, tag);
    for (const name of this.#namesOf(repository)) {
      this.#known.delete(name);
      for (const { digest } of this.#images) this.#manifests.delete(`${name}@${digest}`);
    }
    return found;
  }

  /** What V2 answers for a tag; a tag of V1 that was asked for is in the repository from then on. */
  digestOf(name: string, tag: string): string | undefined {
    const own = this.#v2.get(`${name}:${tag}`);
    if (own !== undefined) return own;
    const id = this.#v1.get(`${this.#repositoryOf(name)}:${tag}`);
    const digest = this.#images.find((image) => image.id === id && id !== undefined)?.digest;
    if (digest !== undefined) this.#have(name, digest);
    return digest;
  }

  idOf(repository: string, tag: string): string | undefined {
    const digest = this.#namesOf(repository)
      .map((name) => this.#v2.get(`${name}:${tag}`))
      .find((each) => each !== undefined);
    if (digest === undefined) return this.#v1.get(`${repository}:${tag}`);
    return this.#images.find((image) => image.digest === digest)?.id;
  }

  existsInV1(repository: string): boolean {
    return this.#hasV1Tags(repository) || this.#namesOf(repository).some((name) => this.#known.has(name));
  }

  existsInV2(name: string): boolean {
    return this.#known.has(name) || this.#hasV1Tags(this.#repositoryOf(name));
  }

  catalog(): readonly string[] {
    const listed = this.names.filter((name) => {
      const repository = this.#repositoryOf(name);
      if (!this.#hasV1Tags(repository)) return this.#known.has(name);
      const [long = "", short] = this.#namesOf(repository);
      return short === undefined || this.#hasV2Tags(name) || (name === long && !this.#hasV2Tags(short));
    });
    return listed.sort();
  }

  #have(name: string, digest: string): void {
    this.#known.add(name);
    this.#manifests.add(`${name}@${digest}`);
  }

  #hasV1Tags(repository: string): boolean {
    return [...this.#v1.keys()].some((key) => key.startsWith(`${repository}:`));
  }

  #hasV2Tags(name: string): boolean {
    return [...this.#v2.keys()].some((key) => key.startsWith(`${name}:`));
  }

  #namesOf(repository: string): readonly string[] {
    const short = shortNames[repository];
    return short === undefined ? [repository] : [repository, short];
  }

  #repositoryOf(name: string): string {
    return Object.keys(shortNames).find((repository) => shortNames[repository] === name) ?? name;
  }
}
