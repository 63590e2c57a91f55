import { RegistryError } from "../../errors.ts";

/** A layer that is not an archive that can be read: LAYER_UNSUPPORTED, with what is wrong with it. */
export function unsupported(detail: string, cause?: unknown): RegistryError {
  return new RegistryError("LAYER_UNSUPPORTED", { detail, cause });
}
