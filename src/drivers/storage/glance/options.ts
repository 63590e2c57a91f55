import { z } from "zod";
import { option } from "../../option.ts";
import { identityOptions } from "../openstack/options.ts";

/** What the driver can, whichever its alternate. */
export const glanceFeatures = { redirect: false, localFiles: false } as const;

/** What a driver has to be called to be the alternate. */
export const alternateNames = ["local", "swift"] as const;

/** The options that no other driver has. */
export const glanceOptions = {
  storage_alternate: option(
    z
      .enum([...alternateNames, "file"])
      .default("local")
      .transform((name): (typeof alternateNames)[number] => (name === "file" ? "local" : name)),
    {
      description:
        "Where storage glance keeps what is no layer: local (also called file), in storage_path, or swift, with its options.",
      env: ["GLANCE_STORAGE_ALTERNATE"],
    },
  ),
  glance_url: option(z.url({ protocol: /^https?$/, hostname: /./ }).optional(), {
    description: "Where Glance is, such as https://glance.example.com:9292; without it, where Keystone's catalog says.",
    env: ["OS_GLANCE_URL"],
  }),
};

/** What layers in Glance need; the alternate's options are its own. */
export const glanceSchema = z.object({ ...identityOptions, ...glanceOptions });

/** What Glance is opened with. */
export type GlanceSettings = z.output<typeof glanceSchema>;
