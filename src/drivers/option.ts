import type { z } from "zod";

/** What an option tells about itself beside its type and default; docs, samples, wizard and redaction read it. */
export interface OptionMeta {
  /** One sentence for the operator. */
  readonly description: string;
  /** Environment variables that the sample configuration reads it from, first one first. */
  readonly env?: readonly string[];
  /** Never shown, logged or put into an error text. */
  readonly secret?: boolean;
  /** Other names that configuration files may use for it. */
  readonly aliases?: readonly string[];
}

declare module "zod" {
  interface GlobalMeta {
    env?: readonly string[];
    secret?: boolean;
    aliases?: readonly string[];
  }
}

/** Attaches `meta` to a schema: the one place where an option is described. */
export function option<T extends z.ZodType>(schema: T, meta: OptionMeta): T {
  return schema.meta({
    description: meta.description,
    ...(meta.env && { env: meta.env }),
    ...(meta.secret && { secret: meta.secret }),
    ...(meta.aliases && { aliases: meta.aliases }),
  });
}
