import { expect } from "chai";
import { digestOf } from "../../support/oci-image.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

describe("V2 requests whose host is none", () => {
  let server: RegistryServer;
  before(async () => {
    server = await startRegistry();
  });
  after(async () => {
    await server.close();
  });

  const digest = digestOf("");
  for (const [request, status] of [
    ["GET /v2/_catalog?n=1", 200],
    ["GET HTTP://x:99999/v2/_catalog?n=1", 200],
    [`GET /v2/some/image/referrers/${digest}?artifactType=a`, 200],
    [`POST /v2/some/image/blobs/uploads/?digest=${digest}`, 201],
    [`POST /v2/some/image/blobs/uploads/?mount=${digest}&from=other/image`, 202],
    ["GET /v2/some/image/tags/list?n=0", 200],
    [`PUT /v2/some/image/manifests/${digest}?tag=a`, 400],
  ] as const) {
    for (const host of ["a b", "x:99999"]) {
      it(`${request.slice(0, 60)} for ${host} is answered ${status}, as for every host`, async () => {
        const connection = await RawConnection.open(
          server.port,
          `${request} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
        );
        expect(await connection.rest()).to.match(new RegExp(`^HTTP/1\\.1 ${status} `));
      });
    }
  }
});
