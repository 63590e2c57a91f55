import { z } from "zod";
import { option } from "../../option.ts";
import { identityOptions } from "../openstack/options.ts";

/** The options of `storage: swift`. */
export const swiftOptions = {
  ...identityOptions,
  swift_container: option(z.string().min(1).max(247).regex(/^[^/]+$/).default("dev_container"), {
    description:
      "The container that images are kept in; it is made when there is none. Parts of large ones are in another, whose name ends with _segments.",
    env: ["OS_CONTAINER"],
  }), // prettier-ignore
  swift_object_storage_url: option(z.url({ protocol: /^https?$/, hostname: /./ }).optional(), {
    description: "The URL of the account, instead of the one that comes with a token.",
    env: ["OS_STORAGE_URL"],
  }),
};

/** What the driver is opened with. */
export const swiftSchema = z.object({
  storage_path: option(z.string().default("/registry"), {
    description: "The prefix of all names in the container.",
    env: ["STORAGE_PATH"],
  }),
  ...swiftOptions,
});

export type SwiftSettings = z.output<typeof swiftSchema>;
