import type { RadosGateway } from "../../test/support/radosgw.ts";

/** Removes all objects of a bucket, and frees their memory: there is room for sixteen large blobs. */
export async function emptyBucket(gateway: RadosGateway, bucket: string): Promise<void> {
  const client = gateway.client();
  const names: string[] = [];
  const objects: AsyncIterable<{ readonly name?: string }> = client.listObjectsV2(bucket, "", true);
  for await (const { name } of objects) if (name !== undefined) names.push(name);
  await client.removeObjects(bucket, names);
  await gateway.removeGarbage();
}
