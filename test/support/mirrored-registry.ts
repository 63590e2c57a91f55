import { FaultyUpstream } from "./faulty-upstream.ts";
import { startRegistry, type RegistryServer } from "./registry-server.ts";

/** A registry, what stands before it, and a mirror of it that believes no tag for long. */
export interface MirroredRegistry {
  readonly source: RegistryServer;
  readonly upstream: FaultyUpstream;
  readonly mirror: RegistryServer;
}

/** For a suite: they are there before its first test, calm after each, and gone after the last. */
export function mirroredRegistry(protocol: "v1" | "v2"): () => MirroredRegistry {
  let made: MirroredRegistry | undefined;

  before(async () => {
    const source = await startRegistry();
    const upstream = await FaultyUpstream.start(source.url);
    const mirror = await startRegistry({ mirroring: { source: upstream.url, protocol, tags_cache_ttl: 0 } });
    made = { source, upstream, mirror };
  });

  afterEach(() => {
    made?.upstream.calm();
  });

  after(async () => {
    await made?.mirror.close();
    await made?.upstream.stop();
    await made?.source.close();
  });

  return () => {
    if (!made) throw new Error("nothing is there before the first test");
    return made;
  };
}
