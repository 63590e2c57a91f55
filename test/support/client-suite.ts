import { ContainerTools, needsContainerTools, type ContainerTool } from "./container-tools.ts";
import { endOfSuite } from "./end-of-suite.ts";
import { fronts, type Front, type FrontedRegistry } from "./fronted-registry.ts";
import { digestOf } from "./oci-image.ts";

/** What the tests of a client work with. */
export interface Stage {
  readonly registry: FrontedRegistry;
  readonly tools: ContainerTools;
}

/** Tests of a client through each front. One of the tools is logged in; the stage is there once tests and hooks run. */
export function describeClient(
  title: string,
  tool: ContainerTool,
  tests: (stage: () => Stage, front: Front) => void,
): void {
  for (const front of fronts) {
    describe(`${title} ${front.name}`, function () {
      this.timeout(180_000);
      let stage: Stage | undefined;
      const atEnd = endOfSuite();
      before(async function () {
        needsContainerTools(this, tool);
        front.needs(this);
        const registry = await front.start();
        atEnd(() => registry.stop());
        const tools = await ContainerTools.create(registry);
        atEnd(() => tools.remove());
        if (front.login) await tools.login(tool, front.login);
        stage = { registry, tools };
      });
      tests(() => {
        if (!stage) throw new Error("the registry is not there yet");
        return stage;
      }, front);
    });
  }
}

/** The digest of what the registry answers for a tag or a digest. */
export async function digestAt({ registry }: Stage, name: string, reference: string): Promise<string> {
  const { body, headers } = await registry.client.expect([200], "GET", `/v2/${name}/manifests/${reference}`);
  const digest = digestOf(body);
  if (headers["docker-content-digest"] !== digest) throw new Error("the registry answers another digest than it says");
  return digest;
}

/** What a client said when it failed; "" when it did not. */
export async function failureOf(work: Promise<unknown>): Promise<string> {
  return await work.then(() => "", String);
}
