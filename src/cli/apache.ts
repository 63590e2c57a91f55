import { quotable, type FrontEnd } from "./front-end.ts";
import { fill } from "./template.ts";

/** The file for Apache 2.4: virtual hosts for `sites-available`. */
export async function apacheConfiguration(proxy: FrontEnd, offload: boolean): Promise<string> {
  const { tls, port, names, addresses, upstreams, scheme, timeout } = proxy;
  const [name = "localhost", ...aliases] = names;
  const redirectPort = tls && tls.redirectPort > 0 ? tls.redirectPort : undefined;
  const parameters = `ttl=30 timeout=${timeout} connectiontimeout=10 flushpackets=on`;
  const [only = "", ...more] = upstreams.map((address) => upstreamUrl(address, scheme));
  const balanced = more.length > 0;
  return await fill("apache.conf", {
    ...proxy,
    name,
    aliases,
    modules: modules({
      tls: tls !== undefined || scheme === "https",
      redirect: redirectPort !== undefined,
      balanced,
      auth: proxy.auth !== undefined,
      offload,
    }),
    ports: [port, redirectPort].flatMap((number) => unusual(addresses, number)),
    addresses: hosts(addresses, port),
    redirect: redirectPort !== undefined && {
      addresses: hosts(addresses, redirectPort),
      port: port === 443 ? "" : `:${port}`,
    },
    tls: tls && { certificate: quoted(tls.certificate), key: quoted(tls.key) },
    forwarded: tls ? "https" : "http",
    upstreamTls: scheme === "https",
    balancer: balanced && { members: [only, ...more].map((url) => ({ url: quoted(url), parameters })) },
    upstream: balanced ? '"balancer://registryctl/" nocanon' : `${quoted(`${only}/`)} nocanon ${parameters}`,
    auth: proxy.auth !== undefined && { path: quoted(proxy.auth) },
    offload: offload && proxy.folder !== undefined && { folder: quoted(proxy.folder) },
  });
}

function modules(wanted: Record<"tls" | "redirect" | "balanced" | "auth" | "offload", boolean>): readonly object[] {
  const names = [
    "env",
    "headers",
    "proxy",
    "proxy_http",
    ...(wanted.tls ? ["ssl"] : []),
    ...(wanted.redirect ? ["alias"] : []),
    ...(wanted.auth ? ["auth_basic", "authn_file", "authz_user"] : []),
    ...(wanted.balanced ? ["proxy_balancer", "lbmethod_byrequests"] : []),
    ...(wanted.offload ? ["xsendfile"] : []),
  ];
  return names.map((name) => ({ name, enable: name }));
}

/** What to listen on beside the ports that Apache's own configuration opens. */
function unusual(addresses: readonly string[], port: number | undefined): string[] {
  if (port === undefined || port === 80 || port === 443) return [];
  return addresses.length > 0 ? addresses.map((address) => `${address}:${port}`) : [String(port)];
}

function hosts(addresses: readonly string[], port: number): string {
  return (addresses.length > 0 ? addresses : ["*"]).map((address) => `${address}:${port}`).join(" ");
}

function upstreamUrl(address: string, scheme: string): string {
  return address.startsWith("unix:") ? `${address}|${scheme}://localhost` : `${scheme}://${address}`;
}

function quoted(text: string): string {
  return quotable(text, /\p{Cc}/u);
}
