import { isIPv6 } from "node:net";

/** Bits of an IPv6 address that tell one customer of a provider from another; who has one of these networks has all of it. */
const groupsOfNetwork = 4;

/** Whom an address stands for: itself, or of IPv6 its network of 64 bits. */
export function network(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  const whole = [...groups, ...Array<string>(zeros).fill("0"), ...rest];
  return `${whole
    .slice(0, groupsOfNetwork)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
