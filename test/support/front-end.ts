import { succeeds } from "./cli.ts";

/** One way to ask for a proxy's configuration: what it is about, and the flags. */
export interface Variant {
  readonly name: string;
  readonly args: readonly string[];
  readonly flavor: "plain" | "offload";
}

interface Certificates {
  readonly certificate: string;
  readonly key: string;
}

/** Every combination of the options that change the structure of the file. */
export function variants({ certificate, key }: Certificates, passwords: string): readonly Variant[] {
  const tls = [
    { name: "plain", args: [] },
    { name: "TLS", args: ["--tls-certificate", certificate, "--tls-key", key] },
    {
      name: "TLS on a port of its own without a redirect",
      args: ["--tls-certificate", certificate, "--tls-key", key, "--port", "8443", "--redirect-port", "0"],
    },
  ];
  const auth = [
    { name: "open", args: [] },
    { name: "passwords", args: ["--basic-auth", passwords] },
  ];
  const upstreams = [
    { name: "the flavor's own registry", args: [] },
    { name: "several registries", args: ["--upstream", "127.0.0.1:5001", "--upstream", "[::1]:5002"] },
    { name: "a socket", args: ["--upstream", "unix:/run/registry.sock"] },
  ];
  const names = [
    { name: "no name", args: [] },
    {
      name: "names and addresses",
      args: ["-n", "a.example.com", "-n", "*.example.org", "--listen", "127.0.0.1", "--listen", "[::1]"],
    },
  ];
  const flavors = ["plain", "offload"] as const;
  return tls.flatMap((a) =>
    auth.flatMap((b) =>
      upstreams.flatMap((c) =>
        names.flatMap((d) =>
          flavors.map((flavor) => ({
            name: [a.name, b.name, c.name, d.name, flavor].join(", "),
            args: [...a.args, ...b.args, ...c.args, ...d.args],
            flavor,
          })),
        ),
      ),
    ),
  );
}

/** The configuration that a command generates; `config` is the registry's. */
export async function generated(
  command: string,
  config: string,
  { args, flavor }: Variant,
  cwd: string,
): Promise<string> {
  return await succeeds([command, "--config", config, "--flavor", flavor, ...args], { cwd });
}
