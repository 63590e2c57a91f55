import type { HttpFailure, Meaning } from "../openstack/failure.ts";
import type { Ask } from "../openstack/requests.ts";

/** What Swift's failures mean: paths of two parts and more are about an object, shorter ones about its container or the account. */
export function meaningOfSwift(failure: HttpFailure, { path, subject, method }: Ask): ReturnType<Meaning> {
  const [, container = "", ...rest] = path.split("/");
  const isObject = rest.length > 0;
  switch (failure.status) {
    case 403: {
      const who = "give swift_user a role that may, or correct swift_user and swift_tenant_name";
      const deed = method === "GET" || method === "HEAD" ? "read" : method === "DELETE" ? "delete" : "write";
      const place = isObject ? `${subject} in the container ${decodeURIComponent(container)}` : subject;
      return { code: "REFUSED", text: `the server does not let swift_user ${deed} ${place}: ${who}` };
    }
    case 404:
      if (isObject) return { code: "NOT_FOUND", text: `${subject} does not exist` };
      return {
        code: "REFUSED",
        text: `${subject} does not exist: correct swift_container or swift_object_storage_url`,
      };
    case 400:
      return /name|invalid UTF8/i.test(failure.message) ? nameIsWrong(isObject, subject) : undefined;
    case 411:
    case 414:
      return { code: "INVALID_KEY" };
    case 413:
    case 507:
      return { code: "NO_SPACE" };
    case 416:
      return { code: "INVALID_RANGE" };
    default:
      return undefined;
  }
}

function nameIsWrong(isObject: boolean, subject: string): ReturnType<Meaning> {
  if (isObject && !/bucket|container/i.test(subject)) return { code: "INVALID_KEY" };
  return { code: "REFUSED", text: `${subject} can't have this name: correct swift_container` };
}
