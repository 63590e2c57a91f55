import { RegistryError } from "../../src/server/errors.ts";

/** "done", or the code of the `RegistryError` that it rejects with. Any other rejection passes through. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}
