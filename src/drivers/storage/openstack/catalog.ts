import { DriverError } from "../errors.ts";

/** Where a service is, for everyone. */
export interface Endpoint {
  readonly type: string;
  readonly region: string | null | undefined;
  readonly url: string;
}

/** The URL of a service in the region, or in the first where none is asked for. REFUSED says what there is instead. */
export function endpointIn(
  endpoints: readonly Endpoint[],
  type: string,
  { region, tenant }: { readonly region: string | undefined; readonly tenant: string | undefined },
): string {
  const ofType = endpoints.filter((endpoint) => endpoint.type === type);
  const found = ofType.find((endpoint) => region === undefined || endpoint.region === region);
  if (found) return found.url;
  const refused = (text: string): DriverError => new DriverError("REFUSED", text);
  if (tenant === undefined) throw refused("swift_tenant_name is not set: services are those of a project");
  const regions = [...new Set(ofType.map((endpoint) => endpoint.region ?? ""))].filter((name) => name !== "");
  if (regions.length > 0) {
    throw refused(`the service ${type} is not in ${region ?? ""}: set swift_region_name to ${regions.join(" or ")}`);
  }
  throw refused(`the project has no service ${type}: correct swift_tenant_name, or give the service's URL`);
}
