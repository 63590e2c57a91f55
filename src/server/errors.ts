/** Every error that a client can be told of: its code, HTTP status and default message. V1 and V2 render the same table. */
export const errorTable = {
  ACCOUNT_EXISTS: { status: 409, message: "There is such an account" },
  BAD_REQUEST: { status: 400, message: "The request is malformed" },
  BLOB_UNKNOWN: { status: 404, message: "The blob is not known to the repository" },
  BLOB_UPLOAD_INVALID: { status: 400, message: "The upload's request is malformed" },
  BLOB_UPLOAD_OUT_OF_ORDER: { status: 416, message: "The chunk does not start where the upload ends" },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: "The upload is not known to the registry: it is over, or never began" },
  BODY_INCOMPLETE: { status: 400, message: "The request body ended early" },
  BODY_TIMEOUT: { status: 408, message: "No data arrived for too long" },
  BODY_TOO_LARGE: { status: 413, message: "The request body is larger than this registry accepts" },
  CHECKSUM_MISMATCH: { status: 400, message: "Checksum mismatch" },
  CHECKSUM_MISSING: { status: 400, message: "Missing Image's checksum" },
  CHECKSUM_UNEXPECTED: { status: 409, message: "Cannot set this image checksum" },
  DATA_INVALID: { status: 400, message: "Invalid data" },
  DENIED: { status: 403, message: "The access to the resource is denied" },
  DIGEST_INVALID: { status: 400, message: "The digest is malformed" },
  IMAGE_EXISTS: { status: 409, message: "Image already exists" },
  IMAGE_ID_INVALID: { status: 404, message: "Invalid image ID" },
  IMAGE_IN_PROGRESS: { status: 400, message: "Image is being uploaded, retry later" },
  IMAGE_JSON_INVALID: { status: 400, message: "Invalid JSON" },
  IMAGE_NOT_IN_REPOSITORY: { status: 400, message: "This image does not belong to the repository" },
  IMAGE_UNKNOWN: { status: 404, message: "Image not found" },
  IMAGE_UNTRANSLATABLE: { status: 404, message: "The image cannot be translated for this protocol" },
  INDEX_IMAGES_UNKNOWN: { status: 404, message: "images not found" },
  JSON_INVALID: { status: 400, message: "Error Decoding JSON" },
  LAYER_MISSING: { status: 400, message: "The image's layer has not been uploaded" },
  LAYER_UNSUPPORTED: { status: 400, message: "Layer format not supported" },
  MANIFEST_BLOB_UNKNOWN: { status: 400, message: "The manifest refers to content that the repository does not have" },
  MANIFEST_INVALID: { status: 400, message: "The manifest is invalid" },
  MANIFEST_UNKNOWN: { status: 404, message: "The manifest is not known to the repository" },
  METHOD_NOT_ALLOWED: { status: 405, message: "The method is not allowed for this URL" },
  MIRROR_SOURCE_BUSY: { status: 429, message: "The mirrored registry allows no more requests for now" },
  MIRROR_SOURCE_FAILED: { status: 502, message: "The mirrored registry does not answer, and this is not in store" },
  MIRROR_SOURCE_TIMEOUT: {
    status: 504,
    message: "The mirrored registry does not answer in time, and this is not in store",
  },
  NAME_INVALID: { status: 400, message: "Invalid repository name" },
  NAME_UNKNOWN: { status: 404, message: "The repository is not known to the registry" },
  NOT_FOUND: { status: 404, message: "Not found" },
  PAGINATION_INVALID: { status: 400, message: "The page that is asked for is invalid" },
  PARENT_UNAUTHORIZED: { status: 400, message: "Image depends on an unauthorized parent" },
  PARENT_UNKNOWN: { status: 400, message: "Image depends on a non existing parent" },
  RANGE_NOT_SATISFIABLE: { status: 416, message: "The range is not satisfiable" },
  REPOSITORY_UNKNOWN: { status: 404, message: "Repository not found" },
  SIZE_INVALID: { status: 400, message: "The length of the body is not what the request says" },
  STORAGE_FULL: { status: 507, message: "The registry has no space left" },
  STORAGE_UNAVAILABLE: { status: 503, message: "The storage is not available, retry later" },
  TAG_INVALID: { status: 400, message: "Invalid tag name" },
  TAG_UNKNOWN: { status: 404, message: "Tag not found" },
  TOKEN_SERVICE_UNAVAILABLE: { status: 503, message: "The keys of the token service can't be had, retry later" },
  TOOMANYREQUESTS: { status: 429, message: "Too many attempts, retry later" },
  UNAUTHORIZED: { status: 401, message: "Requires authorization" },
  UPSTREAM_UNAVAILABLE: { status: 503, message: "The index server does not answer, retry later" },
} as const satisfies Record<string, { readonly status: number; readonly message: string }>;

export type ErrorCode = keyof typeof errorTable;

/** An outcome that the client has to be told of. Anything else that is thrown is a fault of ours. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly code: ErrorCode;
  /** What this case is about, for protocols that have a place for it; safe to show. */
  readonly detail: string | undefined;
  /** After how many seconds the client may come again, where that is known. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ErrorCode,
    options: { message?: string; detail?: string; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(options.message ?? errorTable[code].message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.detail = options.detail;
    this.retryAfter = options.retryAfter;
  }

  get status(): number {
    return errorTable[this.code].status;
  }
}
