import type { Context } from "koa";
import type { SearchIndex } from "../../drivers/search/search-index.ts";
import type { V1Access } from "../access/v1-access.ts";
import type { Offload } from "../http/offload.ts";
import type { FileLists } from "../registry/file-lists.ts";
import type { ImagePush } from "../registry/image-push.ts";
import type { Images, ImageView } from "../registry/images.ts";
import type { ImageId } from "../registry/names.ts";
import type { RepositoryStore } from "../registry/bridge/shared-repositories.ts";
import type { TagsOfV1 } from "../registry/bridge/shared-tags.ts";

/** Makes an account for who sends a request. Rejects with ACCOUNT_EXISTS, DATA_INVALID or TOOMANYREQUESTS. */
export type SignUp = (ctx: Pick<Context, "req">, name: string, password: string) => Promise<void>;

/** What the V1 protocol is served from. */
export interface V1Parts {
  readonly images: Images;
  /** An image that is served as it comes from elsewhere; undefined for all others. By default none is. */
  readonly arriving?: (id: ImageId) => Promise<ImageView | undefined>;
  readonly push: ImagePush;
  readonly fileLists: FileLists;
  readonly repositories: RepositoryStore;
  readonly tags: TagsOfV1;
  readonly search: SearchIndex;
  readonly access: V1Access;
  /** Makes accounts for those who ask for one; undefined where nobody may. */
  readonly signUp: SignUp | undefined;
  /** Whether anybody is asked who they are. */
  readonly hasAccounts: boolean;
  readonly options: V1Options;
  /** What `_status` reports: a service that is not configured has no check. */
  readonly services: Readonly<Record<string, (() => Promise<void>) | undefined>>;
}

/** How the V1 protocol is served; sizes in bytes (0: no limit), times in seconds. */
export interface V1Options {
  readonly version: string;
  readonly flavor: string;
  readonly host: string;
  /** Without an index server: the registry answers the index's requests itself. */
  readonly standalone: boolean;
  /** Whether it serves what another registry has. */
  readonly mirrors: boolean;
  /** What `/` says; by default its name and version. */
  readonly issue: string | undefined;
  /** What `_ping` tells when debugging. */
  readonly debug: Readonly<Record<string, unknown>> | undefined;
  /** What `X-Docker-Endpoints` says; by default the host that the client asked. */
  readonly endpoints: string | undefined;
  readonly maxJsonSize: number;
  readonly maxLayerSize: number;
  readonly idleTimeout: number;
  /** The cross-origin headers that 0.7 sent on searches and image lists, where `cors` is not configured. */
  readonly fixedCors: boolean;
  readonly offload: Offload;
}
