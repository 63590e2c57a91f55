import type { DriverErrorCode } from "../errors.ts";
import { DriverError } from "../errors.ts";
import { HttpFailure } from "../openstack/failure.ts";
import type { Ask } from "../openstack/requests.ts";

/** What an answer of Glance means that is no success. */
export function meaning(
  { status }: HttpFailure,
  { method, path, subject }: Ask,
): { readonly code: DriverErrorCode; readonly text?: string } | undefined {
  switch (status) {
    case 300:
      return { code: "REFUSED", text: "the server has no version 2 of Glance's interface: correct glance_url" };
    case 400:
      return { code: "REFUSED", text: `Glance does not take ${subject}` };
    case 403:
      return { code: "REFUSED", text: `Glance does not let swift_user ${right(method, path)}: give them the role` };
    case 404:
      return { code: "NOT_FOUND", text: `${subject} does not exist` };
    case 409:
      return { code: "REFUSED", text: `${subject} is in another state than expected` };
    case 413:
      return { code: "NO_SPACE", text: "Glance has no room, or the project's share of it is used up" };
    case 416:
      return { code: "INVALID_RANGE" };
    default:
      return undefined;
  }
}

/** Whether Glance has refused because the image was no longer, or not yet, what the request needs. */
export function isConflict(error: unknown): boolean {
  return error instanceof DriverError && error.cause instanceof HttpFailure && error.cause.status === 409;
}

/** By the names that Glance's own rules have. */
function right(method: Ask["method"], path: string): string {
  if (path.endsWith("/file")) return method === "PUT" ? "upload images (upload_image)" : "read images (download_image)";
  const rights: Partial<Record<Ask["method"], string>> = {
    POST: "make images (add_image)",
    PATCH: "name images (modify_image)",
    DELETE: "delete images (delete_image)",
  };
  return rights[method] ?? "list images (get_images)";
}
