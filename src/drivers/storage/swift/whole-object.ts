import { text } from "node:stream/consumers";
import { discard } from "../../http.ts";
import type { Answer } from "../openstack/transport.ts";
import type { Content, Head } from "../s3/object-bucket.ts";
import { headOf, type Container, type ObjectHead } from "./container.ts";
import { joinedParts } from "./joined-parts.ts";
import { asList, etagOf, parseManifest, type Segments } from "./segments.ts";

/** An object that is being read. */
interface Opened {
  readonly response: Content;
  readonly head: Head;
}

/**
 * Opens all of an object by one request, which is answered with the list where it is one of parts. Those are read from here
 * one after the other, since Swift would hash each of them once more. Undefined where the server has to put it together: for
 * lists that are not ours, or whose parts are not there, and with Ceph's gateway, which shows no lists.
 */
export async function openWhole(objects: Container, segments: Segments, key: string): Promise<Opened | undefined> {
  const answer = await objects.get(key, undefined, asList);
  const head = headOf(answer.headers);
  if (head.upload !== undefined) return await openParts(answer, segments, { ...head, upload: head.upload });
  if (head.size > 0 && !head.isLarge && answer.headers["x-object-manifest"] === undefined) {
    return { response: Object.assign(answer.body, { statusCode: answer.status }), head };
  }
  discard(answer);
  return undefined;
}

async function openParts(
  { body }: Answer,
  segments: Segments,
  { upload, modified }: ObjectHead & { readonly upload: string },
): Promise<Opened | undefined> {
  try {
    const list = parseManifest(await text(body));
    const [first] = list;
    if (first === undefined || !segments.areOf(upload, list)) return undefined;
    const response = joinedParts(await segments.open(first), list, async (part) => await segments.open(part));
    const size = list.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    return { response, head: { size, modified, etag: etagOf(list) } };
  } catch {
    // The object may have been replaced meanwhile: the server knows, or says what is wrong with it.
    return undefined;
  }
}
