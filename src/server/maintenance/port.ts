/** A manifest, or what stands in the way of one: `reason` ends a sentence. */
export type FoundManifest =
  { readonly digest: string; readonly mediaType: string; readonly bytes: Buffer } | { readonly reason: string };

/** One image of a V1 chain. */
export interface V1ImageView {
  readonly id: string;
  /** Of the layer, in bytes; undefined when nobody knows. */
  readonly size: number | undefined;
  /** The image's JSON, or the history's entry; `{}` when it is damaged. */
  readonly document: Readonly<Record<string, unknown>>;
}

/** What commands ask of a registry, whether it runs or not. Names and tags are as clients spell them. */
export interface RegistryPort {
  /** Whose answers these are, for messages. */
  readonly name: string;
  /** The names of all repositories, each once; those that V2 can't spell come last. */
  repositories(): AsyncIterable<string>;
  /** The tags of a repository in both protocols, each once, in byte order. Rejects when there is no such repository. */
  tags(repository: string): AsyncIterable<string>;
  /** What a tag, or a digest, stands for in V2. */
  manifest(repository: string, reference: string): Promise<FoundManifest>;
  /** A configuration, whole; undefined when the repository has none by that digest. */
  config(repository: string, digest: string): Promise<Buffer | undefined>;
  /** What a tag stands for in V1, from its own image down to the base. */
  chain(repository: string, tag: string): Promise<readonly V1ImageView[] | { readonly reason: string }>;
  /** Removes a tag in both protocols; answers false when there is none. */
  removeTag(repository: string, tag: string): Promise<boolean>;
  close(): Promise<void>;
}
