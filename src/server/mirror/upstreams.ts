import { isOciName, type OciName } from "../registry/oci-names.ts";
import { v1RepositoryOf } from "../registry/bridge/names.ts";
import type { Upstream } from "./upstream.ts";
import type { V1Origin } from "./v1-mirror.ts";
import type { V1Source } from "./v1-source.ts";

/** Which repositories an upstream is asked for, and by what rules. */
export interface Place {
  /** A registry of V2, or one of V1. */
  readonly upstream: Upstream | undefined;
  readonly v1: V1Source | undefined;
  /** What our names of its repositories begin with, without the slash; empty for all. */
  readonly prefix: string;
  /** Its own host, and others that it is known by. */
  readonly hosts: readonly string[];
  /** Patterns of the names that it may be asked for, without the prefix; none for all. */
  readonly repositories: readonly string[];
  /** How long its tags are believed, in milliseconds. */
  readonly tagsLifetime: number;
  /** Whether clients may push to its repositories here. */
  readonly push: boolean;
}

/** A repository of ours, and what it is called where it comes from. */
export interface Mirrored {
  readonly place: Place;
  readonly upstream: Upstream;
  readonly remoteName: string;
}

/** Where docker's own images are. */
const dockerHub: readonly string[] = [
  "docker.io",
  "index.docker.io",
  "registry-1.docker.io",
  "registry.hub.docker.com",
];

/** The upstreams, by what names of repositories begin with and by the hosts that containerd names. */
export class Upstreams {
  /** The longest prefix first. */
  readonly #places: readonly (Place & { readonly forms: readonly RegExp[] })[];

  constructor(places: readonly Place[]) {
    this.#places = places
      .map((place) => ({ ...place, forms: place.repositories.map(patternForm) }))
      .sort((a, b) => b.prefix.length - a.prefix.length);
  }

  /** Where in V2 a repository of ours comes from; undefined when it is ours alone. */
  find(name: OciName): Mirrored | undefined {
    const found = this.#allowed(name);
    const { upstream } = found?.place ?? {};
    return found && upstream && { ...found, upstream };
  }

  /** Where in V1 it comes from. */
  findV1(name: OciName): V1Origin | undefined {
    const { place, remoteName } = this.#allowed(name) ?? {};
    const repository = place?.v1 && v1RepositoryOf(name);
    if (!place?.v1 || !repository || remoteName === undefined) return undefined;
    return { source: place.v1, remoteName, name, repository, tagsLifetime: place.tagsLifetime };
  }

  #allowed(name: OciName): { readonly place: Place; readonly remoteName: string } | undefined {
    const place = this.owner(name);
    if (!place) return undefined;
    const rest = place.prefix === "" ? name : name.slice(place.prefix.length + 1);
    const { forms } = place;
    if (forms.length > 0 && !forms.some((form) => form.test(rest))) return undefined;
    return { place, remoteName: remoteName(rest, place.hosts) };
  }

  /** The upstream below whose prefix a name is, allowed or not. */
  owner(name: string): (Place & { readonly forms: readonly RegExp[] }) | undefined {
    return this.#places.find(({ prefix }) => prefix === "" || name.startsWith(`${prefix}/`));
  }

  /** What we call the repository `name` of the registry that clients reach at `host`; undefined when it isn't mirrored. */
  localName(name: string, host: string): OciName | undefined {
    const named = knownHost(host);
    const place = this.#places.find(({ hosts }) => hosts.some((each) => knownHost(each) === named));
    const local = place && (place.prefix === "" ? name : `${place.prefix}/${name}`);
    return local !== undefined && isOciName(local) ? local : undefined;
  }
}

/** Whether a host is one of Docker Hub's. */
export function isDockerHub(host: string): boolean {
  return dockerHub.includes(host.toLowerCase());
}

/** Docker Hub's own images have names without a slash, which are short for `library/…`. */
function remoteName(name: string, hosts: readonly string[]): string {
  return !name.includes("/") && hosts.some(isDockerHub) ? `library/${name}` : name;
}

function knownHost(host: string): string {
  return isDockerHub(host) ? "docker.io" : host.toLowerCase();
}

/** `*` stands for any characters. */
function patternForm(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
