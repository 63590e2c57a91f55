import type { Images } from "./images.ts";

/** No write takes so long, in milliseconds: what is older was left by a process that was killed, or could not reach Glance. */
const old = 24 * 3_600_000;

/** Deletes images that nobody has finished for a day before `now`; they have no key. Answers how many those were. */
export async function removeLeftovers(images: Images, now = Date.now()): Promise<number> {
  const leftovers: string[] = [];
  for await (const { id, modified } of images.unfinished()) {
    if (modified.getTime() < now - old) leftovers.push(id);
  }
  for (const id of leftovers) await images.remove(id, "an unfinished image");
  return leftovers.length;
}
