import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { expect } from "chai";
import { z } from "zod";
import { bugsnagReporter } from "../../../src/drivers/report/bugsnag.ts";
import { openReporters } from "../../../src/drivers/report/index.ts";
import { faultOf, withoutRequest } from "../../support/fault.ts";
import { until } from "../../support/program.ts";

/** What Bugsnag's documentation of the Error Reporting API asks for. */
const frame = z.strictObject({
  file: z.string(),
  lineNumber: z.int(),
  columnNumber: z.int(),
  method: z.string().min(1),
  inProject: z.boolean(),
});
const payloadSchema = z.strictObject({
  apiKey: z.string(),
  payloadVersion: z.literal("5"),
  notifier: z.strictObject({ name: z.string(), version: z.string(), url: z.url() }),
  events: z.tuple([
    z.strictObject({
      exceptions: z
        .array(
          z.strictObject({
            errorClass: z.string().min(1),
            message: z.string(),
            type: z.literal("nodejs"),
            stacktrace: z.array(frame),
          }),
        )
        .min(1),
      context: z.string(),
      severity: z.literal("error"),
      severityReason: z.strictObject({
        type: z.literal("unhandledErrorMiddleware"),
        attributes: z.strictObject({ framework: z.string() }),
      }),
      unhandled: z.literal(true),
      app: z.strictObject({ version: z.string(), releaseStage: z.string(), type: z.string() }),
      device: z.strictObject({ hostname: z.string(), time: z.iso.datetime() }),
      request: z.strictObject({ clientIp: z.string(), httpMethod: z.string(), url: z.string() }).optional(),
      metaData: z.record(z.string(), z.record(z.string(), z.unknown())),
    }),
  ]),
});

interface Request {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly payload: z.infer<typeof payloadSchema>;
}

describe("bugsnag", () => {
  let server: Server;
  let answer: number | "never";
  const requests: Request[] = [];
  const logged: string[] = [];
  const context = { log: (message: string) => void logged.push(message) };
  let endpoint: string;

  beforeEach(async () => {
    requests.splice(0);
    logged.splice(0);
    answer = 202;
    server = createServer((request, response) => {
      void json(request).then((body) => {
        const { method, url, headers } = request;
        requests.push({ method, url, headers, payload: payloadSchema.parse(body) });
        if (answer !== "never") response.writeHead(answer).end("Accepted");
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/notify`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });

  it("is told of a fault in the form of its API, without secrets", async () => {
    const inner = new RangeError("password=hunter2 refused");
    const outer = new TypeError("cannot store\nthe layer", { cause: inner });
    const fault = faultOf(outer);
    const reporter = bugsnagReporter({ apiKey: "key-of-bugsnag", endpoint }, context);
    reporter.report({ ...fault, request: { ...fault.request, path: "/v1/search?q=hunter2" } });
    await reporter.close();
    expect(logged).to.deep.equal([]);
    expect(requests).to.have.lengthOf(1);
    const [{ method, url, headers, payload }] = requests as [Request];
    expect({ method, url }).to.deep.equal({ method: "POST", url: "/notify" });
    expect(headers).to.include({
      "content-type": "application/json",
      "bugsnag-api-key": "key-of-bugsnag",
      "bugsnag-payload-version": "5",
    });
    expect(headers["bugsnag-sent-at"]).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const [event] = payload.events;
    expect(payload).to.include({ apiKey: "key-of-bugsnag" });
    expect(payload.notifier).to.include({ name: "registryctl", version: "1.2.3" });
    expect(event.exceptions.map(({ errorClass, message }) => [errorClass, message])).to.deep.equal([
      ["TypeError", "cannot store\nthe layer"],
      ["RangeError", "password=[removed] refused"],
    ]);
    expect(event.exceptions[0]?.stacktrace[0]).to.include({ method: "Context.<anonymous>", inProject: true });
    expect(event.exceptions[0]?.stacktrace[0]?.file).to.match(/^\/.*bugsnag\.test\.ts$/);
    expect(event.exceptions[0]?.stacktrace[0]?.lineNumber).to.be.greaterThan(1);
    expect(event.exceptions[0]?.stacktrace.at(-1)).to.include({ inProject: false });
    expect(event.context).to.equal("PUT /v1/search");
    expect(event.app).to.deep.equal({ version: "1.2.3", releaseStage: "prod", type: "server" });
    expect(event.device).to.deep.equal({ hostname: "registry-7", time: "2026-03-04T05:06:07.890Z" });
    expect(event.request).to.deep.equal({ clientIp: "192.0.2.9", httpMethod: "PUT", url: "/v1/search" });
    expect(event.metaData).to.deep.equal({
      request: { id: "request-42", status: 500, userAgent: "docker/1.5.0 go/go1.4.1" },
      registryctl: { faultsNotSentBefore: 0 },
    });
    expect(JSON.stringify(payload)).to.not.include("hunter2");
  });

  it("is told of faults without a request or a stack, and of causes that are no errors", async () => {
    const error = new Error("bare", { cause: "a string" });
    error.stack = "";
    const reporter = bugsnagReporter({ apiKey: "k", endpoint }, context);
    reporter.report(withoutRequest(faultOf(error)));
    await reporter.close();
    const [{ payload }] = requests as [Request];
    expect(payload.events[0].exceptions.map(({ message, stacktrace }) => [message, stacktrace])).to.deep.equal([
      ["bare", []],
      ["a string", []],
    ]);
    expect(payload.events[0]).to.not.have.property("request");
  });

  it("is told of a burst a few times, with the number of the rest", async () => {
    const reporter = bugsnagReporter({ apiKey: "k", endpoint }, context);
    for (let at = 0; at < 500; at++) reporter.report(faultOf(new Error(`fault ${at}`)));
    await reporter.close();
    expect(requests).to.have.lengthOf(5);
    const untold = requests.map(({ payload }) =>
      Number(payload.events[0].metaData["registryctl"]?.["faultsNotSentBefore"]),
    );
    expect(untold.reduce((sum, count) => sum + count, requests.length)).to.equal(500);
  });

  it("refusing the key is logged once, and the key is not told", async () => {
    answer = 401;
    const reporter = bugsnagReporter({ apiKey: "key-of-bugsnag", endpoint }, context);
    for (let at = 0; at < 3; at++) reporter.report(faultOf(new Error("lost")));
    await reporter.close();
    expect(logged).to.deep.equal([
      `bugsnag at ${new URL(endpoint).host}: faults cannot be told: it answered 401`,
      `bugsnag at ${new URL(endpoint).host}: 3 faults were not told`,
    ]);
  });

  it("that hangs is given up when the reporter closes", async () => {
    answer = "never";
    const reporter = bugsnagReporter({ apiKey: "k", endpoint }, { ...context, closeSeconds: 0.1 });
    reporter.report(faultOf(new Error("stuck")));
    await until("the request", () => requests.length === 1);
    await reporter.close();
    expect(logged[0]).to.match(/the server stopped before it was sent/);
  });

  it("that is not there is logged with the reason", async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
    const reporter = bugsnagReporter({ apiKey: "k", endpoint }, context);
    reporter.report(faultOf(new Error("lost")));
    await reporter.close();
    expect(logged[0]).to.match(/ECONNREFUSED/);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });

  describe("among several reporters", () => {
    it("is told, and one that fails does not stop the others", async () => {
      const reporters = openReporters(
        {
          bugsnag: "k",
          bugsnag_endpoint: endpoint,
          email_exceptions: {
            smtp_host: "127.0.0.1",
            smtp_port: 1,
            smtp_secure: false,
            from_addr: "a@example.com",
            to_addr: "b@example.com",
          },
        },
        context,
      );
      expect(reporters.name).to.match(/^mail by 127\.0\.0\.1:1, bugsnag at 127\.0\.0\.1:\d+$/);
      reporters.report(faultOf(new Error("told")));
      await reporters.close();
      expect(requests).to.have.lengthOf(1);
      expect(logged[0]).to.match(/^mail by 127\.0\.0\.1:1: faults cannot be told/);
    });

    it("may be missing: then nobody is told", async () => {
      const nobody = openReporters({}, context);
      nobody.report(faultOf(new Error("unheard")));
      await nobody.close();
      expect(nobody.name).to.equal("nobody");
      expect(requests).to.have.lengthOf(0);
    });
  });
});
