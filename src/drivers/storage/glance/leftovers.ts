import type { Image, Images } from "./images.ts";
import type { References } from "./references.ts";

/** No write takes so long, in milliseconds: what is older was left by a process that was killed, or could not reach Glance. */
const old = 24 * 3_600_000;

/**
 * Deletes images that nobody has finished for a day before `now`; they have no key, and no upload waits that refers to
 * them. Answers how many those were.
 */
export async function removeLeftovers(
  images: Images,
  references: Pick<References, "has">,
  now = Date.now(),
): Promise<number> {
  const subject = "an unfinished image";
  const isOld = ({ modified }: Image): boolean => modified.getTime() < now - old;
  const leftovers: Image[] = [];
  for await (const image of images.unfinished()) if (isOld(image)) leftovers.push(image);
  let removed = 0;
  for (const { id, upload } of leftovers) {
    if (upload !== undefined) {
      if (await references.has(upload, id)) continue;
      // Whoever gives it a key has said so before its reference went, if that went after they had looked.
      const found = await images.find(id, subject);
      if (found === undefined || found.key !== undefined || !isOld(found)) continue;
    }
    await images.remove(id, subject);
    removed += 1;
  }
  return removed;
}
