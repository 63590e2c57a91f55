import { digestParts, isDigest, type Digest } from "./digest.ts";
import {
  quoteElement,
  repositoryOfFolders,
  repositoryText,
  unquoteElement,
  type ImageId,
  type RepositoryName,
  type TagName,
} from "./names.ts";
import type { OciName, OciTag } from "./oci-names.ts";

/*
 * Every key of the store is made here. Below the storage path:
 *
 *   docker/registry/v2/
 *     blobs/<algorithm>/<ab>/<hex>/data            content, by digest (CNCF Distribution's layout)
 *     repositories/<name>/
 *       _layers/<algorithm>/<hex>/link               the repository has the blob
 *       _manifests/revisions/<algorithm>/<hex>/link  the repository has the manifest
 *       _manifests/tags/<tag>/current/link           what the tag names
 *       _manifests/tags/<tag>/index/<algorithm>/<hex>/link  what it has named
 *   images/<id>/                                   the Python registry's layout
 *     json  ancestry  _checksum  _inprogress
 *     layer                                        of old stores; new layers are blobs
 *     _files  _diff                                derived: file lists
 *   repositories/<namespace>/<name>/
 *     _index_images  _images_list  _private  json
 *     tag_<tag>  tag<tag>_json
 *   _registryctl/                                  ours; nothing that a peer would trip over
 *     uploads/<uuid>                               content on its way to a blob
 *     uploads/<id>/                                an unfinished upload of V2
 *       data/<uuid>                                the body of one request, or of several that follow each other
 *       chunks/<offset>-<size>-<uuid>[-<digest>]   says where a body belongs; empty
 *       cancelled                                  the upload is over
 *     keys/upload/<uuid>                           what the ids of uploads are signed with
 *     keys/accounts/<id>                           what an API key lets its bearer do, and its hash
 *     keys/token/<uuid>                            what tokens are signed with
 *     v1/images/<id>/layers/<payload hex>          a layer that was put for the image, by its payload checksum
 *     layers/<algorithm>/<hex>                     what is in a blob that is a layer
 *     adopted/<key>                                which blob a file of an old store is
 *     v2/referrers/<name>/_subjects/<algorithm>/<hex>/<manifest>  descriptor of a manifest with that subject
 *     v2/mirror/tags/<name>/_tags/<tag>            what an upstream said of a tag
 *     v2/mirror/blobs/<algorithm>/<hex>            content that came from an upstream and that nobody pushed
 *     v1/images/<id>/contested                     several clients pushed the image at the same time
 *     v1/images/<id>/checked                       whether an old image's layer is what its checksum says
 *     v1/images/<id>/manifest                      the manifest that was made of the image, or why none can be
 *     v1/images/<id>/source                        the manifest that the image is made of, and its place in that chain
 *     v1/images/<id>/repositories/<namespace>/<name>  the repository has the image; empty
 *     v1/images/<id>/pushers/<account>             who has pushed the image; empty
 *     v1/images/<id>/pushes/<account>              who is pushing it: empty, then the payload checksum of their layer
 *     v1/manifests/<algorithm>/<hex>               the image that a manifest was made of, or is shown as
 *
 * Components of names are quoted as docker-registry 0.8 and 0.9 did. Versions up to 0.7 quoted less, so a name with odd
 * characters has a second place where it is looked for: functions that answer a list give the place to write first.
 * A place that is what a later version wrote for another name belongs to that name alone.
 */

export const blobKey = (digest: Digest): string => {
  const { algorithm, hex } = digestParts(digest);
  return `docker/registry/v2/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`;
};

/** Holds uploads, and beside them whatever is on its way to a blob. */
export const uploadsPrefix = "_registryctl/uploads";

export const uploadKey = (uuid: string): string => `${uploadsPrefix}/${uuid}`;

/** The folder of an upload; its chunks sort before its data. */
export const uploadPrefix = (id: string): string => `${uploadsPrefix}/${id}`;

export const uploadChunkKey = (id: string, chunk: string): string => `${uploadPrefix(id)}/chunks/${chunk}`;

export const uploadDataKey = (id: string, uuid: string): string => `${uploadPrefix(id)}/data/${uuid}`;

export const uploadCancelledKey = (id: string): string => `${uploadPrefix(id)}/cancelled`;

export const uploadSecretsPrefix = "_registryctl/keys/upload";

export const uploadSecretKey = (uuid: string): string => `${uploadSecretsPrefix}/${uuid}`;

export const apiKeysPrefix = "_registryctl/keys/accounts";

export const apiKeyKey = (id: string): string => `${apiKeysPrefix}/${id}`;

export const tokenKeysPrefix = "_registryctl/keys/token";

export const tokenKeyKey = (uuid: string): string => `${tokenKeysPrefix}/${uuid}`;

/** A document of the Python registry's image folder. */
export type ImageFile = "json" | "ancestry" | "layer" | "_checksum" | "_inprogress" | "_files" | "_diff";

export const imageKey = (id: ImageId, file: ImageFile): string => `images/${id}/${file}`;

export const layerRecordPrefix = (id: ImageId): string => `_registryctl/v1/images/${id}/layers`;

/** Holds what is kept of images of V1, their layers among it. */
export const imageRecordsPrefix = "_registryctl/v1/images";

/** Whether the key is one that `layerRecordKey` makes. */
export const isLayerRecord = (key: string): boolean => /^_registryctl\/v1\/images\/[^/]+\/layers\/[^/]+$/.test(key);

export const layerRecordKey = (id: ImageId, payload: Digest): string =>
  `${layerRecordPrefix(id)}/${digestParts(payload).hex}`;

export const contestedKey = (id: ImageId): string => `_registryctl/v1/images/${id}/contested`;

/** What the image is called in V2: a manifest that was made of it. */
export const imageManifestKey = (id: ImageId): string => `_registryctl/v1/images/${id}/manifest`;

/** What reading the layer of an old image has shown. */
export const imageCheckKey = (id: ImageId): string => `_registryctl/v1/images/${id}/checked`;

export const imageRepositoriesPrefix = (id: ImageId): string => `_registryctl/v1/images/${id}/repositories`;

/** Says that the repository has the image; kept where accounts may see some repositories alone. */
export const imageRepositoryKey = (id: ImageId, { namespace, name }: RepositoryName): string =>
  `${imageRepositoriesPrefix(id)}/${quoteElement(namespace)}/${quoteElement(name)}`;

export const imagePushersPrefix = (id: ImageId): string => `_registryctl/v1/images/${id}/pushers`;

/** Says that the account has pushed the image. */
export const imagePusherKey = (id: ImageId, account: string): string =>
  `${imagePushersPrefix(id)}/${quoteElement(account)}`;

/** Says that the account has begun to push the image, and what its layer is. */
export const imagePushKey = (id: ImageId, account: string): string =>
  `_registryctl/v1/images/${id}/pushes/${quoteElement(account)}`;

/** Of which manifest an image was derived. */
export const imageSourceKey = (id: ImageId): string => `_registryctl/v1/images/${id}/source`;

/** What a manifest is called in V1. */
export const manifestImageKey = (digest: Digest): string => `_registryctl/v1/manifests/${digestPath(digest)}`;

export const layerFactsKey = (digest: Digest): string => `_registryctl/layers/${digestPath(digest)}`;

export const adoptedKey = (key: string): string => `_registryctl/adopted/${key}`;

export const imagesPrefix = "images";

export const repositoriesPrefix = "repositories";

/** The folders that may hold the repository. */
export const repositoryFolders = (repository: RepositoryName): readonly [string, ...string[]] => {
  const { namespace, name } = repository;
  const written = `${repositoriesPrefix}/${quoteElement(namespace)}/${quoteElement(name)}`;
  const owner = repositoryOfFolders(namespace, name);
  const isOwn = owner !== undefined && repositoryText(owner) === repositoryText(repository);
  return withOlder(
    written,
    isOwn && olderComponent(namespace) && olderComponent(name) && `${repositoriesPrefix}/${namespace}/${name}`,
  );
};

/** A document of the Python registry's repository folder that belongs to no tag. */
export type RepositoryFile = "_index_images" | "_images_list" | "_private" | "json";

export const repositoryKeys = (repository: RepositoryName, file: RepositoryFile): readonly [string, ...string[]] =>
  inFolders(repository, [file]);

export const tagKeys = (repository: RepositoryName, tag: TagName): readonly [string, ...string[]] =>
  inFolders(repository, withOlder(`${tagFilePrefix}${quoteElement(tag)}`, olderTag(tag) && `${tagFilePrefix}${tag}`));

/** The document of a tag `_x` would lie where the tag `x_json` does: its first character is encoded. */
export const tagJsonKeys = (repository: RepositoryName, tag: TagName): readonly [string, ...string[]] =>
  inFolders(
    repository,
    tag.startsWith("_")
      ? [`tag%5F${quoteElement(tag.slice(1))}_json`]
      : withOlder(`tag${quoteElement(tag)}_json`, olderTag(tag) && `tag${tag}_json`),
  );

/** Where `check` writes to see whether the storage takes it. */
export const probeKey = (id: string): string => `_registryctl/probe/${id}`;

/** What comes before the tag in the file names of tags. */
export const tagFilePrefix = "tag_";

/** The tag that a file is of, by what follows `tagFilePrefix`, whichever version of the Python registry wrote it. */
export const tagOfFile = (rest: string): string => unquoteElement(rest) ?? rest;

function inFolders(repository: RepositoryName, files: readonly [string, ...string[]]): readonly [string, ...string[]] {
  const [folder, ...older] = repositoryFolders(repository);
  const [file, ...olderFiles] = files;
  const rest = [folder, ...older].flatMap((f) => [file, ...olderFiles].map((name) => `${f}/${name}`));
  return [`${folder}/${file}`, ...rest.slice(1)];
}

function withOlder(written: string, older: string | false): readonly [string, ...string[]] {
  return older === false || older === written ? [written] : [written, older];
}

function olderTag(tag: TagName): boolean {
  return olderComponent(tag) && tagOfFile(tag) === tag;
}

/** Whether versions up to 0.7 could have kept `text` unquoted as one component. */
function olderComponent(text: string): boolean {
  return text !== "." && text !== ".." && !text.includes("/");
}

/** The folder of CNCF Distribution's repositories; one's own folder is its name below it. */
export const ociRepositoriesPrefix = "docker/registry/v2/repositories";

export const ociRepositoryPrefix = (name: OciName): string => `${ociRepositoriesPrefix}/${name}`;

/** Folders directly below a repository's that are not repositories themselves start with this. */
export const ociReservedPrefix = "_";

/** Those that make it a repository; an upload to CNCF Distribution that was given up leaves another. */
export const ociContentFolders: readonly string[] = ["_layers", "_manifests"];

/** Says that the repository has the blob; holds its digest. */
export const layerLinkKey = (name: OciName, digest: Digest): string =>
  `${ociRepositoryPrefix(name)}/_layers/${digestPath(digest)}/link`;

export const layerLinksPrefix = (name: OciName): string => `${ociRepositoryPrefix(name)}/_layers`;

/** Says that the repository has the manifest; holds its digest. */
export const manifestLinkKey = (name: OciName, digest: Digest): string =>
  `${ociRepositoryPrefix(name)}/_manifests/revisions/${digestPath(digest)}/link`;

export const manifestLinksPrefix = (name: OciName): string => `${ociRepositoryPrefix(name)}/_manifests/revisions`;

export const ociTagsPrefix = (name: OciName): string => `${ociRepositoryPrefix(name)}/_manifests/tags`;

export const ociTagPrefix = (name: OciName, tag: OciTag): string => `${ociTagsPrefix(name)}/${tag}`;

/** Holds the digest of the manifest that the tag names. */
export const ociTagKey = (name: OciName, tag: OciTag): string => `${ociTagPrefix(name, tag)}/current/link`;

/** Says that the tag has named the manifest at some time; holds its digest. */
export const ociTagIndexKey = (name: OciName, tag: OciTag, digest: Digest): string =>
  `${ociTagPrefix(name, tag)}/index/${digestPath(digest)}/link`;

/** All that is known of the referrers of a repository. */
export const ociReferrersPrefix = (name: OciName): string => `_registryctl/v2/referrers/${name}/_subjects`;

/** Descriptors of the manifests that name `subject`, by their digest. */
export const referrersPrefix = (name: OciName, subject: Digest): string =>
  `${ociReferrersPrefix(name)}/${digestPath(subject)}`;

export const referrerKey = (name: OciName, subject: Digest, manifest: Digest): string =>
  `${referrersPrefix(name, subject)}/${manifest.replace(":", "-")}`;

/** Says that a tag is an upstream's; holds what that said last. */
export const mirroredTagKey = (name: OciName, tag: OciTag): string =>
  `_registryctl/v2/mirror/tags/${name}/_tags/${tag}`;

export const mirroredBlobsPrefix = "_registryctl/v2/mirror/blobs";

/** Says that content is an upstream's, and nobody's here. */
export const mirroredBlobKey = (digest: Digest): string => `${mirroredBlobsPrefix}/${digestPath(digest)}`;

/** The digest of content that a record of `mirroredBlobsPrefix` is about. */
export function digestOfMirroredBlob(key: string): Digest | undefined {
  const digest = key.split("/").slice(-2).join(":");
  return isDigest(digest) ? digest : undefined;
}

/** The digest that a link is named for, wherever it lies; undefined for a key that is no link. */
export function digestOfLink(key: string): Digest | undefined {
  const [algorithm = "", hex = "", link] = key.split("/").slice(-3);
  const digest = `${algorithm}:${hex}`;
  return link === "link" && isDigest(digest) ? digest : undefined;
}

function digestPath(digest: Digest): string {
  const { algorithm, hex } = digestParts(digest);
  return `${algorithm}/${hex}`;
}
