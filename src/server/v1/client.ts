/** The products of a User-Agent, such as `docker/1.5.0 go/go1.3.3 os/linux`, by their names as they are written. */
export function parseUserAgent(userAgent: string): ReadonlyMap<string, string> {
  const products = userAgent.slice(0, 1024).matchAll(/([^\s/]+)\/([^\s/]+)/g);
  return new Map([...products].map(([, name = "", version = ""]) => [name, version]));
}

/** Whether the client is docker before 0.10, whose pushes claim tarsums. A client of no known name is one of today. */
export function claimsTarsum(userAgent: string): boolean {
  const version = /^0\.(\d+)(\.|$)/.exec(parseUserAgent(userAgent).get("docker") ?? "");
  return version !== null && Number(version[1]) < 10;
}
