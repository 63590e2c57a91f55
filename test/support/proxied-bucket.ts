import type { Context } from "mocha";
import { RadosGateway } from "./radosgw.ts";
import { TcpProxy } from "./tcp-proxy.ts";

/** An S3 server with a bucket, and a proxy before it that can disturb what is asked of it. */
export interface ProxiedBucket {
  readonly server: RadosGateway;
  readonly proxy: TcpProxy;
  readonly bucket: string;
}

/** Starts both, and has `atEnd` stop them; skips the suite when Ceph is not installed. */
export async function startProxiedBucket(
  context: Context,
  atEnd: (undo: () => Promise<unknown>) => void,
): Promise<ProxiedBucket> {
  const server = await RadosGateway.start(context);
  atEnd(() => server.stop());
  const proxy = await TcpProxy.start(server.port);
  atEnd(() => proxy.stop());
  return { server, proxy, bucket: await server.newBucket() };
}
