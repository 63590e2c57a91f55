import { digestParts, type Digest } from "./digest.ts";

/*
 * Every key of the store is made here. Below the storage path:
 *
 *   docker/registry/v2/
 *     blobs/<algorithm>/<ab>/<hex>/data            content, by digest (CNCF Distribution's layout)
 *   images/<id>/                                   the Python registry's layout
 *     json  ancestry  _checksum  _inprogress
 *     layer                                        of old stores; new layers are blobs
 *     _files  _diff                                derived: file lists
 *   repositories/<namespace>/<name>/
 *     _index_images  _images_list  _private  json
 *     tag_<tag>  tag<tag>_json
 *   _registryctl/                                  ours; nothing a peer would trip over
 *     uploads/<uuid>                               bodies on their way to a blob
 *     v1/images/<id>/layers/<payload hex>          descriptor of a layer that was put for the image
 *     v1/images/<id>/contested                     two clients pushed the image at the same time
 */

export const blobKey = (digest: Digest): string => {
  const { algorithm, hex } = digestParts(digest);
  return `docker/registry/v2/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`;
};
