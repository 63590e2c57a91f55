import { RegistryError } from "../../errors.ts";

/** An image that cannot be shown through the other protocol: IMAGE_UNTRANSLATABLE; `reason` ends a sentence. */
export function untranslatable(reason: string): RegistryError {
  return new RegistryError("IMAGE_UNTRANSLATABLE", { message: `The image cannot be translated: ${reason}` });
}
