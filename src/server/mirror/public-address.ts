import { lookup as lookUp, type LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { BlockList, isIP, type LookupFunction } from "node:net";

/** This machine, private networks, those of one link (where clouds keep their secrets), and what is nobody's. */
const closed = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
] as const) {
  closed.addSubnet(network, bits, "ipv4");
}
for (const [network, bits] of [
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  closed.addSubnet(network, bits, "ipv6");
}

/** Whether an address is one that everybody may reach. */
export function isPublicAddress(address: string): boolean {
  return !closed.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** Whether a host, as URLs have it, is an address that is not public. Of a name that is not known here, nothing is. */
export async function isPrivateHost(hostname: string): Promise<boolean> {
  const address = hostname.replace(/^\[|\]$/g, "");
  if (isIP(address) !== 0) return !isPublicAddress(address);
  const found = await lookup(address, { all: true }).catch((): LookupAddress[] => []);
  return found.some((each) => !isPublicAddress(each.address));
}

/** Looks names up as Node does, and fails with the code EPRIVATE for what is not public. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookUp(hostname, { ...options, all: true }, (error, found) => {
    const [first] = found;
    if (error || !first) callback(error, "");
    else if (!found.every(({ address }) => isPublicAddress(address))) callback(notPublic(hostname), "");
    else if (options.all === true) callback(null, found);
    else callback(null, first.address, first.family);
  });
};

/** What says that a host is at no public address. */
export function notPublic(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${hostname} is not at a public address`), { code: "EPRIVATE" });
}
