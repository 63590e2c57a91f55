import { jobs, type JobName } from "./jobs.ts";

interface Order {
  readonly id: number;
  readonly name: JobName;
  readonly input: never;
}

/** The load comes from a process of its own, so that what it costs is known and disturbs nobody's event loop. */
process.on("message", (order: Order) => {
  void answer(order);
});
process.on("disconnect", () => {
  process.exit();
});

async function answer({ id, name, input }: Order): Promise<void> {
  const before = process.cpuUsage();
  const reply = await attempt(name, input);
  const { user, system } = process.cpuUsage(before);
  process.send?.({ id, cpuSeconds: (user + system) / 1e6, ...reply });
}

async function attempt(name: JobName, input: never): Promise<{ result: unknown } | { failure: string }> {
  try {
    return { result: await jobs[name](input) };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}
