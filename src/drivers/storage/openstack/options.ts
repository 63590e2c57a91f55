import { z } from "zod";
import { option } from "../../option.ts";

/** The options that say who an OpenStack service is asked for, and where; all drivers of OpenStack have them. */
export const identityOptions = {
  swift_authurl: option(z.url({ protocol: /^https?$/, hostname: /./ }).optional(), {
    description:
      "Where tokens come from: Keystone's URL, such as https://keystone.example.com:5000/v3, or that of Swift's own authentication, such as https://swift.example.com/auth/v1.0.",
    env: ["OS_AUTH_URL"],
  }),
  swift_user: option(z.string().min(1).optional(), {
    description: "The user; for version 1, with its account before it, such as account:user.",
    env: ["OS_USERNAME"],
  }),
  swift_password: option(z.string().min(1).optional(), {
    description: "Their password, or key for version 1.",
    env: ["OS_PASSWORD"],
    secret: true,
  }),
  swift_tenant_name: option(z.string().min(1).optional(), {
    description: "The project, which older versions call tenant.",
    env: ["OS_TENANT_NAME", "OS_PROJECT_NAME"],
  }),
  swift_region_name: option(z.string().min(1).optional(), {
    description: "The region whose services are used; without it, the first that Keystone names.",
    env: ["OS_REGION_NAME"],
  }),
  swift_auth_version: option(z.int().min(1).max(3).optional(), {
    description:
      "The version of authentication, 1, 2 or 3; without it, what the path of swift_authurl or the server says.",
    env: ["OS_IDENTITY_API_VERSION"],
  }),
  swift_user_domain_name: option(z.string().min(1).optional(), {
    description: "For version 3, the domain of the user; without it and its id, the domain with the id default.",
    env: ["OS_USER_DOMAIN_NAME"],
  }),
  swift_user_domain_id: option(z.string().min(1).optional(), {
    description: "The id of that domain, instead of its name.",
    env: ["OS_USER_DOMAIN_ID"],
  }),
  swift_project_domain_name: option(z.string().min(1).optional(), {
    description: "For version 3, the domain of the project; without it and its id, that of the user.",
    env: ["OS_PROJECT_DOMAIN_NAME"],
  }),
  swift_project_domain_id: option(z.string().min(1).optional(), {
    description: "The id of that domain, instead of its name.",
    env: ["OS_PROJECT_DOMAIN_ID"],
  }),
  swift_cacert: option(z.string().min(1).meta({ format: "path" }).optional(), {
    description: "A file with the certificates of the authorities to trust, instead of the system's.",
    env: ["OS_CACERT"],
  }),
};

/** The options alone. */
export const identitySchema = z.object(identityOptions);

/** What `connectIdentity` needs of a driver's settings. */
export type IdentitySettings = z.output<typeof identitySchema>;
