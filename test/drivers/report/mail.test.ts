import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { Limit } from "../../../src/drivers/report/limit.ts";
import { mailReporter, type MailOptions } from "../../../src/drivers/report/mail.ts";
import type { Reporter } from "../../../src/drivers/report/reporter.ts";
import { EximServer, needsExim, type EximRules, type Mail } from "../../support/exim.ts";
import { faultOf, withoutRequest } from "../../support/fault.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";

describe("mail of faults", () => {
  let server: EximServer | undefined;
  const reporters: Reporter[] = [];
  const logged: string[] = [];
  before(function () {
    needsExim(this);
  });
  afterEach(async () => {
    for (const reporter of reporters.splice(0)) await reporter.close();
    await server?.destroy();
    server = undefined;
    logged.splice(0);
  });

  const start = async (rules: EximRules): Promise<EximServer> => (server = await EximServer.start(rules));
  const open = (port: number, options: Partial<MailOptions> = {}, limit?: Limit): Reporter => {
    const reporter = mailReporter(
      {
        smtp_host: "127.0.0.1",
        smtp_port: port,
        smtp_secure: false,
        from_addr: "registry@example.com",
        to_addr: "ops@example.com",
        ...options,
      },
      { log: (message) => logged.push(message), ...(limit && { limit }), closeSeconds: 5 },
    );
    reporters.push(reporter);
    return reporter;
  };
  const arrived = async (from: EximServer, count: number): Promise<Mail[]> =>
    await until(`${count} mails`, async () => {
      const mails = await from.mails();
      return mails.length >= count ? mails : undefined;
    });

  it("arrives with what is known of the fault, and no secret", async () => {
    const exim = await start({});
    const inner = new Error("connect to https://me:hunter2@store.example.com/bucket?X-Signature=hunter2 failed");
    const outer = new TypeError("Größe unknown 🐳\nBcc: everybody@example.com", { cause: inner });
    const fault = faultOf(outer);
    open(exim.port, { to_addr: "ops@example.com, Second Person <second@example.com>" }).report({
      ...fault,
      request: { ...fault.request, path: "/v1/images/abc/layer?token=hunter2", userAgent: "docker/1.5\r\nX: y" },
    });
    const [mail, second] = await arrived(exim, 2);
    expect([mail, second].map((each) => each?.headers.get("envelope-to")).sort()).to.deep.equal([
      "ops@example.com",
      "second@example.com",
    ]);
    expect(Object.fromEntries(mail!.headers)).to.include({
      from: "registry@example.com",
      to: "ops@example.com, Second Person <second@example.com>",
      subject: "registryctl fault on registry-7: Größe unknown 🐳",
      "auto-submitted": "auto-generated",
      "return-path": "<registry@example.com>",
    });
    expect(new Date(mail!.headers.get("date") ?? "").toISOString()).to.equal("2026-03-04T05:06:07.000Z");
    expect(mail!.headers.has("bcc")).to.equal(false);
    const facts = mail!.text.slice(0, mail!.text.indexOf("\n\n")).split("\n");
    expect(facts).to.deep.equal([
      "Time:       2026-03-04T05:06:07.890Z",
      "Host:       registry-7",
      "Version:    1.2.3",
      "Flavor:     prod",
      "Request id: request-42",
      "Request:    PUT /v1/images/abc/layer",
      "Status:     500",
      "Client:     192.0.2.9",
      "User agent: docker/1.5",
    ]);
    expect(mail!.text)
      .to.match(/^TypeError: Größe unknown 🐳$/m)
      .and.to.match(/^ {4}at .*mail\.test\.ts:\d+:\d+/m);
    expect(mail!.text).to.include(
      "Caused by: Error: connect to https://[removed]@store.example.com/bucket?[removed] failed",
    );
    expect(mail!.text)
      .to.not.include("hunter2")
      .and.to.not.match(/And \d+ more/);
    expect(logged).to.deep.equal([]);
  });

  it("arrives without a request, and is bounded whatever the error holds", async () => {
    const exim = await start({});
    let error = new Error("x".repeat(200_000));
    for (let depth = 0; depth < 50; depth++) error = new Error("y".repeat(200_000), { cause: error });
    open(exim.port).report(withoutRequest(faultOf(error)));
    const [mail] = await arrived(exim, 1);
    expect(mail!.text).to.not.include("Request");
    expect(mail!.text.length).to.be.lessThan(60_000);
    expect(mail!.headers.get("subject")?.length).to.be.lessThan(200);
  });

  it("goes by STARTTLS with a login and a client's key and certificate", async () => {
    const exim = await start({ tls: true, login: true, clientCertificate: true });
    const files = { keyfile: exim.clientKey, certfile: exim.clientCertificate, cafile: exim.authority };
    open(exim.port, { ...exim.login, smtp_secure: files }).report(faultOf(new Error("by TLS")));
    await arrived(exim, 1);
    expect(await exim.log()).to.match(/ X=TLS\S+ .*DN="[^"]*CN=client\.test" A=login:mailer/);
  });

  it("takes a client's key and certificate from one file", async () => {
    const exim = await start({ tls: true, clientCertificate: true });
    const folder = await temporaryFolder();
    try {
      const both = join(folder, "both.pem");
      await writeFile(
        both,
        (await readFile(exim.clientKey, "utf8")) + (await readFile(exim.clientCertificate, "utf8")),
      );
      open(exim.port, { smtp_secure: { keyfile: both, cafile: exim.authority } }).report(faultOf(new Error("by TLS")));
      await arrived(exim, 1);
      expect(await exim.log()).to.match(/CN=client\.test/);
    } finally {
      await removeFolder(folder);
    }
  });

  it("is not sent to a server whose certificate is not valid, where TLS is insisted on", async () => {
    const exim = await start({ tls: true });
    const reporter = open(exim.port, { smtp_secure: true });
    reporter.report(faultOf(new Error("secret")));
    await until("the log", () => logged.length > 0);
    expect(logged[0]).to.match(/^mail by 127\.0\.0\.1:\d+: faults cannot be told: .*certificate/);
    expect(await exim.mails()).to.deep.equal([]);
  });

  it("is not sent without TLS where TLS is insisted on", async () => {
    const exim = await start({});
    open(exim.port, { smtp_secure: true }).report(faultOf(new Error("secret")));
    await until("the log", () => logged.length > 0);
    expect(logged[0]).to.match(/cannot be told: .*STARTTLS/);
    expect(await exim.mails()).to.deep.equal([]);
  });

  it("waits for a key file that is missing", async () => {
    const exim = await start({ tls: true });
    const folder = await temporaryFolder();
    try {
      const cafile = join(folder, "authority.pem");
      const reporter = open(exim.port, { smtp_secure: { cafile } });
      reporter.report(faultOf(new Error("too early")));
      await until("the log", () => logged.length > 0);
      expect(logged[0]).to.match(/cannot be told: .*no such file.*authority\.pem/);
      await writeFile(cafile, await readFile(exim.authority));
      reporter.report(faultOf(new Error("now")));
      const [mail] = await arrived(exim, 1);
      expect(mail!.text).to.match(/^And 1 more/m);
    } finally {
      await removeFolder(folder);
    }
  });

  it("uses the TLS that is offered, also when nothing is said of it", async () => {
    const exim = await start({ tls: true, login: true });
    open(exim.port, exim.login).report(faultOf(new Error("by TLS")));
    await arrived(exim, 1);
    expect(await exim.log()).to.match(/ X=TLS.* A=login:mailer/);
  });

  it("sends a login in the clear to this machine alone", async () => {
    const exim = await start({ login: true });
    open(exim.port, exim.login).report(faultOf(new Error("in the clear")));
    await arrived(exim, 1);
    open(exim.port, { ...exim.login, smtp_host: "0.0.0.0" }).report(faultOf(new Error("not in the clear")));
    await until("the log", () => logged.length > 0);
    expect(logged[0]).to.match(/^mail by 0\.0\.0\.0:\d+: faults cannot be told: .*STARTTLS/);
    expect(await exim.mails()).to.have.lengthOf(1);
  });

  it("is refused with a wrong password, which is logged once and never told", async () => {
    const exim = await start({ tls: true, login: true });
    const reporter = open(exim.port, { ...exim.login, smtp_password: "wrong-word" });
    for (let at = 0; at < 3; at++) reporter.report(faultOf(new Error("lost")));
    await reporter.close();
    expect(logged).to.have.lengthOf(2);
    expect(logged[0]).to.match(/faults cannot be told: .*535/);
    expect(logged[1]).to.match(/3 faults were not told/);
    expect(logged.join()).to.not.include("wrong-word");
  });

  it("arrives again when the server is back, with the number of the lost", async () => {
    const exim = await start({});
    await exim.stop();
    const reporter = open(exim.port, {}, new Limit(1000, 60));
    for (let at = 0; at < 3; at++) reporter.report(faultOf(new Error("while it was down")));
    await until("the log", () => logged.length > 0);
    expect(logged[0]).to.match(/cannot be told: .*ECONNREFUSED/);
    await exim.resume();
    await until("a mail with the number", async () => {
      reporter.report(faultOf(new Error("it is back")));
      return (await exim.mails()).some((mail) => /^And \d+ more since the last mail/m.test(mail.text));
    });
    expect(logged).to.have.lengthOf(2);
    expect(logged[1]).to.match(/can be told again$/);
  });

  it("of a burst comes a few times, and tells of all", async () => {
    const exim = await start({});
    const reporter = open(exim.port);
    for (let at = 0; at < 500; at++) reporter.report(faultOf(new Error(`fault ${at}`)));
    await reporter.close();
    const mails = await arrived(exim, 5);
    const more = mails.map((mail) => Number(/^And (\d+) more/m.exec(mail.text)?.[1] ?? 0));
    expect(mails).to.have.lengthOf(5);
    expect(more.reduce((sum, count) => sum + count, mails.length)).to.equal(500);
    expect(mails.map((mail) => mail.headers.get("subject")?.slice(-7))).to.have.members(
      [0, 1, 2, 3, 4].map((at) => `fault ${at}`),
    );
    expect(logged).to.deep.equal([]);
  });

  it("to a server that says nothing is given up at the end, and its connection cut", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const reporter = mailReporter(
      {
        smtp_host: "127.0.0.1",
        smtp_port: (silent.address() as AddressInfo).port,
        smtp_secure: false,
        from_addr: "a@example.com",
        to_addr: "b@example.com",
      },
      { log: (message) => logged.push(message), closeSeconds: 0.1 },
    );
    reporter.report(faultOf(new Error("stuck")));
    const socket = await until("the connection", () => sockets[0]);
    const cut = once(socket, "close");
    socket.resume();
    await reporter.close();
    await cut;
    silent.close();
    expect(logged[1]).to.match(/1 faults were not told/);
  });
});
