import { expect } from "chai";
import { routeOf } from "../../../src/server/metrics/route.ts";

const id = "0".repeat(64);

describe("the route of a request", () => {
  for (const [url, route] of [
    ["/", "/"],
    ["/v2", "/v2/"],
    ["/v2/", "/v2/"],
    ["/v2/_catalog?n=10&last=foo/app", "/v2/_catalog"],
    ["/v2/token?scope=repository:foo/app:pull", "/v2/token"],
    ["/v2/app/manifests/latest", "/v2/{name}/manifests/{reference}"],
    [`/v2/a/b/c/manifests/sha256:${id}`, "/v2/{name}/manifests/{reference}"],
    [`/v2/foo/app/blobs/sha256:${id}`, "/v2/{name}/blobs/{digest}"],
    [`/v2/blobs/uploads/manifests/v1`, "/v2/{name}/manifests/{reference}"],
    ["/v2/foo/app/blobs/uploads", "/v2/{name}/blobs/uploads/"],
    [`/v2/foo/app/blobs/uploads/?mount=sha256:${id}&from=a/b`, "/v2/{name}/blobs/uploads/"],
    [`/v2/foo/app/blobs/uploads/${id}`, "/v2/{name}/blobs/uploads/{id}"],
    ["/v2/foo/app/tags/list?n=5", "/v2/{name}/tags/list"],
    ["/v2/foo/app/tags/lists", "other"],
    [`/v2/foo/app/referrers/sha256:${id}`, "/v2/{name}/referrers/{digest}"],
    ["/v2/manifests/x", "other"],
    ["/v1/_ping", "/v1/_ping"],
    ["/v1/search?q=app", "/v1/search"],
    ["/v1/users/", "/v1/users/"],
    ["/v1/users/alice/", "/v1/users/"],
    [`/v1/images/${id}/layer`, "/v1/images/{id}/layer"],
    [`/v1/private_images/${id}/json`, "/v1/images/{id}/json"],
    [`/v1/images/${id}/anything`, "other"],
    [`/v1/images/${id}/a/layer`, "other"],
    ["/v1/repositories/foo/app/", "/v1/repositories/{name}"],
    ["/v1/repositories/app", "/v1/repositories/{name}"],
    ["/v1/repositories/foo/app/images", "/v1/repositories/{name}/images"],
    ["/v1/repositories/app/tags", "/v1/repositories/{name}/tags"],
    ["/v1/repositories/foo/app/tags/v1", "/v1/repositories/{name}/tags/{tag}"],
    ["/v1/repositories/foo/app/tags/v1/json", "/v1/repositories/{name}/tags/{tag}"],
    ["/v1/repositories/foo/app/json", "/v1/repositories/{name}/json"],
    ["/metrics", "other"],
    ["/../../etc/passwd", "other"],
    ["http://elsewhere/v2/", "other"],
    [`/${"x/".repeat(4000)}`, "other"],
  ] as const) {
    it(`of ${url.slice(0, 60)} is ${route}`, () => {
      expect(routeOf(url)).to.equal(route);
    });
  }
});
