import { expect } from "chai";
import { describe as describeSettings } from "../../../src/server/config/describe.ts";
import { dev, evaluated } from "./evaluated.ts";

describe("the mirrored registries", () => {
  const upstreams = (...lines: string[]): string =>
    dev("mirroring:", "  upstreams:", ...lines.map((line) => `    - ${line}`));

  it("may be several, without a source", () => {
    const { loaded, problems, warnings } = evaluated(
      upstreams(
        "{url: 'https://quay.io/', prefix: quay, repositories: ['coreos/*'], push: false}",
        "{url: 'https://ghcr.io', prefix: ghcr/deeper, username: me, password: secret, hosts: [ghcr]}",
      ),
    );
    expect([problems, warnings]).to.deep.equal([[], []]);
    expect(loaded?.settings.mirroring?.upstreams).to.deep.equal([
      { url: "https://quay.io", prefix: "quay", repositories: ["coreos/*"], hosts: [], protocol: "v2", push: false },
      {
        url: "https://ghcr.io",
        prefix: "ghcr/deeper",
        username: "me",
        password: "secret",
        repositories: [],
        hosts: ["ghcr"],
        protocol: "v2",
        push: true,
      },
    ]);
  });

  it("are shown without their passwords", () => {
    const { loaded } = evaluated(upstreams("{url: 'https://u:hunter2@ghcr.io', prefix: a}", "{url: 'https://quay.io', username: me, password: hunter2}")); // prettier-ignore
    const shown = loaded && describeSettings(loaded);
    expect(JSON.stringify(shown)).not.to.contain("hunter2");
    expect(shown?.find(({ key }) => key === "mirroring.upstreams.1.username")?.value).to.equal("me");
  });

  const wrong: [string, string, string, string][] = [
    ["two without a prefix", upstreams("{url: 'https://a'}", "{url: 'https://b'}"), "mirroring.upstreams.1.prefix", "no prefix either"],
    ["two with one prefix", upstreams("{url: 'https://a', prefix: p}", "{url: 'https://b', prefix: p}"), "mirroring.upstreams.1.prefix", "the prefix p too"],
    ["a user without a password", dev("mirroring: {source: 'https://a', username: me}"), "mirroring.password", "missing beside username"],
    ["a password without a user", upstreams("{url: 'https://a', password: p}"), "mirroring.upstreams.0.username", "missing beside password"],
    ["a helper beside a user", upstreams("{url: 'https://a', username: u, password: p, credential_helper: pass}"), "mirroring.upstreams.0.credential_helper", "beside a username"],
    ["a user in the URL and one beside it", upstreams("{url: 'https://u:p@a', username: u, password: p}"), "mirroring.upstreams.0.url", "holds a user too"],
    ["a query", upstreams("{url: 'https://a/?q'}"), "mirroring.upstreams.0.url", "more than a host"],
    ["a prefix that no name has", upstreams("{url: 'https://a', prefix: Upper/}"), "mirroring.upstreams.prefix", "names of repositories begin with"],
    ["no URL", upstreams("{prefix: a}"), "mirroring.upstreams.url", "is missing"],
  ]; // prettier-ignore

  for (const [name, yaml, key, problem] of wrong) {
    it(`can't have ${name}`, () => {
      const { problems } = evaluated(yaml);
      expect(problems, JSON.stringify(problems)).to.have.length(1);
      expect(problems[0]?.key).to.equal(key);
      expect(problems[0]?.problem).to.contain(problem);
      expect(problems[0]?.line).to.be.greaterThan(1);
    });
  }
});
