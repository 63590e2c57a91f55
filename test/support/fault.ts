import type { Fault } from "../../src/drivers/report/reporter.ts";

/** A fault as the server meets it. */
export function faultOf(error: Error): Fault & Required<Pick<Fault, "request">> {
  return {
    error,
    time: new Date("2026-03-04T05:06:07.890Z"),
    server: { version: "1.2.3", flavor: "prod", host: "registry-7" },
    request: {
      id: "request-42",
      method: "PUT",
      path: "/v1/images/abc/layer",
      remoteAddress: "192.0.2.9",
      userAgent: "docker/1.5.0 go/go1.4.1",
      status: 500,
    },
  };
}

/** The same fault, met outside of any request. */
export function withoutRequest({ error, time, server }: Fault): Fault {
  return { error, time, server };
}
