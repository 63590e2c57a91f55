import { accepting } from "../load/small-pushes.ts";
import type { Scale } from "../scale.ts";
import { PerTarget } from "./per-target.ts";
import { pushSmallImage, verifySmallImage, type SmallImage } from "./small-image.ts";
import type { Group, Target } from "./workload.ts";

const account = { name: "good", password: "right-horse-staple" };
const repository = "bench/logins";
const clients = 8;

/** Whether those who guess passwords harm those who know theirs: pulls alone, then among wrong logins. */
export function wrongLogins(scale: Scale): Group {
  const { perSecond, seconds } = scale.wrongLogins;
  const images = new PerTarget<SmallImage>();
  const manifest = `/v2/${repository}/manifests/latest`;
  const pull = async (target: Target, seconds: number) =>
    await target.load.run("requests", {
      url: target.server.url,
      method: "GET",
      paths: [manifest, `/v2/${repository}/blobs/${images.of(target).blob}`],
      headers: accepting,
      connections: clients,
      seconds,
      status: 200,
    });
  const guess = async ({ background, server: { url } }: Target) =>
    (await background.run("wrongLogins", { url, path: manifest, known: account.name, perSecond, seconds })).result;
  return {
    name: "logins",
    account,
    workloads: [
      {
        name: "wrong-logins",
        title: `GET with a password, ${clients} clients, among wrong logins`,
        unit: "requests/s",
        better: "more",
        per: "1000 requests",
        async prepare(target) {
          images.set(target, await pushSmallImage(target, repository));
          // A server that has just started is slower: what comes before would make what comes later look good.
          await pull(target, scale.seconds);
        },
        async sample(target) {
          const { result: alone, cpuSeconds: before } = await pull(target, scale.seconds);
          const [guesses, { result: among, cpuSeconds }] = await Promise.all([guess(target), pull(target, seconds)]);
          return {
            value: among.count / among.seconds,
            work: (alone.count + among.count) / 1000,
            client: { cpuSeconds: before + cpuSeconds, seconds: alone.seconds + among.seconds },
            p99: among.p99,
            beside: {
              "p50 ms": among.p50,
              "requests/s before": alone.count / alone.seconds,
              "p99 ms before": alone.p99,
              "p50 ms before": alone.p50,
              "kept rate": among.count / among.seconds / (alone.count / alone.seconds),
              "p99 over before": among.p99 / alone.p99,
              "wrong logins answered 401": guesses.unauthorized,
              "wrong logins answered 429": guesses.tooMany,
            },
          };
        },
        async verify(target) {
          await verifySmallImage(target, repository, images.of(target));
        },
      },
    ],
  };
}
