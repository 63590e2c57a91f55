import { CommandError } from "./exit.ts";

/** An image as the command line names it. */
export interface ImageName {
  readonly repository: string;
  /** A tag, or a digest. */
  readonly reference: string;
  readonly isDigest: boolean;
}

/** Parses `NAME:TAG` or `NAME@DIGEST`; without either, the tag is `otherwise`, or it is wrong usage. */
export function parseImageName(text: string, otherwise?: string): ImageName {
  const [, named = "", digest = ""] = /^([^@]+)@(\w+:[0-9a-f]+)$/.exec(text) ?? [];
  if (named !== "") return { repository: named, reference: digest, isDigest: true };
  const [, repository = "", tag = otherwise ?? ""] = /^([^:@]+)(?::([^/]+))?$/.exec(text) ?? [];
  if (repository !== "" && tag !== "") return { repository, reference: tag, isDigest: false };
  throw new CommandError(
    "usage",
    `'${text}' names no image: expected NAME:TAG${otherwise === undefined ? "" : " or NAME@DIGEST"}`,
  );
}
