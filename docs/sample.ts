import { renderConfig, type Draft } from "../src/server/config/render.ts";

/** The configuration that is used where none is written: the flavors of the original, and our options beside its. */
export function sampleConfig(): string {
  return renderConfig(
    { common, ...flavors },
    {
      head:
        "A configuration with a flavor for every storage. SETTINGS_FLAVOR or --flavor chooses one; without it, dev. " +
        "What is below common holds for every flavor unless the flavor says something else. " +
        "_env:NAME:default is the value of an environment variable, or the default; without a default, nothing. " +
        "Every option is explained in docs/configuration.md.",
      flavors: remarks,
    },
  );
}

/** A registry that mirrors another one. */
export function mirrorConfig(): string {
  return renderConfig(
    {
      common: {
        loglevel: "_env:LOGLEVEL:info",
        mirroring: {
          source: "_env:MIRROR_SOURCE:https://registry-1.docker.io",
          source_index: "_env:MIRROR_SOURCE_INDEX:https://index.docker.io",
          tags_cache_ttl: "_env:MIRROR_TAGS_CACHE_TTL:864000",
          ...mirroring,
        },
      },
      dev: {
        storage: "local",
        storage_path: "_env:STORAGE_PATH:/tmp/registry",
        loglevel: "_env:LOGLEVEL:debug",
      },
    },
    {
      head: "A registry that keeps what it is asked for of another one: what was once asked for is there, also while that one is not. Use it with DOCKER_REGISTRY_CONFIG=config_mirror.yml.",
    },
  );
}

function redis(prefix: string): Draft {
  return {
    host: `_env:${prefix}_HOST`,
    port: `_env:${prefix}_PORT`,
    db: `_env:${prefix}_DB:0`,
    password: `_env:${prefix}_PASSWORD`,
  };
}

/** What a mirror's file and every other one say alike. */
const mirroring = {
  username: "_env:MIRROR_USERNAME",
  password: "_env:MIRROR_PASSWORD",
  ca: "_env:MIRROR_CA",
  proxy: "_env:MIRROR_PROXY",
  max_age: "_env:MIRROR_MAX_AGE",
  max_size: "_env:MIRROR_MAX_SIZE",
  spool: "_env:MIRROR_SPOOL",
};

const common: Draft = {
  loglevel: "_env:LOGLEVEL:info",
  debug: "_env:DEBUG:false",
  http: {
    host: "_env:REGISTRY_HOST:0.0.0.0",
    port: "_env:REGISTRY_PORT:5000",
    tls: {
      certificate: "_env:REGISTRY_TLS_CERTIFICATE",
      key: "_env:REGISTRY_TLS_KEY",
      client_ca: "_env:REGISTRY_TLS_CLIENT_CA",
    },
    trusted_proxies: "_env:REGISTRY_TRUSTED_PROXIES",
    max_json_size: "_env:REGISTRY_MAX_JSON_SIZE:4M",
    max_layer_size: "_env:REGISTRY_MAX_LAYER_SIZE:0",
    idle_timeout: "_env:REGISTRY_IDLE_TIMEOUT",
    shutdown_timeout: "_env:REGISTRY_SHUTDOWN_TIMEOUT",
    header_timeout: "_env:REGISTRY_HEADER_TIMEOUT:60",
  },
  metrics: { host: "_env:REGISTRY_METRICS_HOST", port: "_env:REGISTRY_METRICS_PORT" },
  workers: "_env:REGISTRY_WORKERS",
  public_url: "_env:REGISTRY_PUBLIC_URL",
  standalone: "_env:STANDALONE:true",
  index_endpoint: "_env:INDEX_ENDPOINT:https://index.docker.io",
  disable_token_auth: "_env:DISABLE_TOKEN_AUTH",
  privileged_key: "_env:PRIVILEGED_KEY",
  auth: {
    htpasswd: "_env:REGISTRY_AUTH_HTPASSWD",
    groups: "_env:REGISTRY_AUTH_GROUPS",
    signup: "_env:REGISTRY_AUTH_SIGNUP",
    token_key: "_env:REGISTRY_AUTH_TOKEN_KEY",
    audit_log: "_env:REGISTRY_AUTH_AUDIT_LOG",
  },
  storage_redirect: "_env:STORAGE_REDIRECT",
  nginx_x_accel_redirect: "_env:NGINX_X_ACCEL_REDIRECT",
  apache_x_sendfile: "_env:APACHE_X_SENDFILE",
  allow_sparse_indexes: "_env:ALLOW_SPARSE_INDEXES",
  v1_user_agents: "_env:V1_USER_AGENTS",
  v1_platform: "_env:V1_PLATFORM:linux/amd64",
  search_backend: "_env:SEARCH_BACKEND",
  sqlalchemy_index_database: "_env:SQLALCHEMY_INDEX_DATABASE:sqlite:////tmp/docker-registry.db",
  mirroring: {
    source: "_env:MIRROR_SOURCE",
    source_index: "_env:MIRROR_SOURCE_INDEX",
    tags_cache_ttl: "_env:MIRROR_TAGS_CACHE_TTL:172800",
    ...mirroring,
  },
  cache: redis("CACHE_REDIS"),
  cache_lru: redis("CACHE_LRU_REDIS"),
  email_exceptions: {
    smtp_host: "_env:SMTP_HOST",
    smtp_port: "_env:SMTP_PORT:25",
    smtp_login: "_env:SMTP_LOGIN",
    smtp_password: "_env:SMTP_PASSWORD",
    smtp_secure: "_env:SMTP_SECURE:false",
    from_addr: "_env:SMTP_FROM_ADDR:docker-registry@localdomain.local",
    to_addr: "_env:SMTP_TO_ADDR:noise+dockerregistry@localdomain.local",
  },
  bugsnag: "_env:BUGSNAG",
  bugsnag_endpoint: "_env:BUGSNAG_ENDPOINT",
  cors: {
    origins: "_env:CORS_ORIGINS",
    methods: "_env:CORS_METHODS",
    headers: "_env:CORS_HEADERS:[Content-Type]",
    expose_headers: "_env:CORS_EXPOSE_HEADERS",
    supports_credentials: "_env:CORS_SUPPORTS_CREDENTIALS",
    max_age: "_env:CORS_MAX_AGE",
    send_wildcard: "_env:CORS_SEND_WILDCARD",
    always_send: "_env:CORS_ALWAYS_SEND",
    automatic_options: "_env:CORS_AUTOMATIC_OPTIONS",
    vary_header: "_env:CORS_VARY_HEADER",
    resources: "_env:CORS_RESOURCES",
  },
  secret_key: "_env:SECRET_KEY",
};

const objectStorePath = "_env:STORAGE_PATH:/registry";

const boto = {
  boto_bucket: "_env:AWS_BUCKET",
  boto_host: "_env:AWS_HOST",
  boto_port: "_env:AWS_PORT",
  boto_calling_format: "_env:AWS_CALLING_FORMAT",
};

/** Who asks an OpenStack cloud. */
const identity = {
  swift_authurl: "_env:OS_AUTH_URL",
  swift_user: "_env:OS_USERNAME",
  swift_password: "_env:OS_PASSWORD",
  swift_tenant_name: "_env:OS_TENANT_NAME",
  swift_region_name: "_env:OS_REGION_NAME",
  swift_auth_version: "_env:OS_IDENTITY_API_VERSION",
  swift_user_domain_name: "_env:OS_USER_DOMAIN_NAME",
  swift_user_domain_id: "_env:OS_USER_DOMAIN_ID",
  swift_project_domain_name: "_env:OS_PROJECT_DOMAIN_NAME",
  swift_project_domain_id: "_env:OS_PROJECT_DOMAIN_ID",
  swift_cacert: "_env:OS_CACERT",
} as const;

const flavors: Readonly<Record<string, Draft>> = {
  local: {
    storage: "local",
    storage_path: "_env:STORAGE_PATH:/tmp/registry",
    min_free: "_env:STORAGE_MIN_FREE",
    shared: "_env:STORAGE_SHARED",
  },
  s3: {
    storage: "s3",
    storage_path: objectStorePath,
    s3_region: "_env:AWS_REGION",
    s3_bucket: "_env:AWS_BUCKET",
    s3_access_key: "_env:AWS_KEY",
    s3_secret_key: "_env:AWS_SECRET",
    s3_session_token: "_env:AWS_SESSION_TOKEN",
    s3_encrypt: "_env:AWS_ENCRYPT:true",
    s3_secure: "_env:AWS_SECURE:true",
    s3_use_sigv4: "_env:AWS_USE_SIGV4",
    ...boto,
  },
  "ceph-s3": {
    storage: "s3",
    storage_path: objectStorePath,
    s3_bucket: "_env:AWS_BUCKET",
    s3_access_key: "_env:AWS_KEY",
    s3_secret_key: "_env:AWS_SECRET",
    s3_encrypt: "_env:AWS_ENCRYPT:false",
    s3_secure: "_env:AWS_SECURE:false",
    ...boto,
    boto_debug: "_env:AWS_DEBUG:0",
  },
  gcs: {
    storage: "gcs",
    storage_path: objectStorePath,
    boto_bucket: "_env:GCS_BUCKET",
    gs_access_key: "_env:GCS_KEY",
    gs_secret_key: "_env:GCS_SECRET",
    gs_secure: "_env:GCS_SECURE:true",
    oauth2: "_env:GCS_OAUTH2:false",
    gs_service_key_file: "_env:GCS_SERVICE_KEY_FILE",
    oauth2_client_id: "_env:OAUTH2_CLIENT_ID",
    oauth2_client_secret: "_env:OAUTH2_CLIENT_SECRET",
    oauth2_refresh_token: "_env:OAUTH2_REFRESH_TOKEN",
    boto_host: "_env:GCS_HOST",
    boto_port: "_env:GCS_PORT",
  },
  swift: {
    storage: "swift",
    storage_path: objectStorePath,
    swift_container: "_env:OS_CONTAINER",
    ...identity,
    swift_object_storage_url: "_env:OS_STORAGE_URL",
  },
  glance: {
    storage: "glance",
    storage_alternate: "_env:GLANCE_STORAGE_ALTERNATE:local",
    storage_path: "_env:STORAGE_PATH:/tmp/registry",
    glance_url: "_env:OS_GLANCE_URL",
    ...identity,
  },
  openstack: { "<<": "glance" },
  "glance-swift": { "<<": "swift", storage: "glance", storage_alternate: "swift", glance_url: "_env:OS_GLANCE_URL" },
  "openstack-swift": { "<<": "glance-swift" },
  elliptics: {
    storage: "elliptics",
    elliptics_nodes: "_env:ELLIPTICS_NODES",
    elliptics_groups: "_env:ELLIPTICS_GROUPS",
    elliptics_wait_timeout: "_env:ELLIPTICS_WAIT_TIMEOUT:60",
    elliptics_check_timeout: "_env:ELLIPTICS_CHECK_TIMEOUT:60",
    elliptics_io_thread_num: "_env:ELLIPTICS_IO_THREAD_NUM:2",
    elliptics_net_thread_num: "_env:ELLIPTICS_NET_THREAD_NUM:2",
    elliptics_nonblocking_io_thread_num: "_env:ELLIPTICS_NONBLOCKING_IO_THREAD_NUM:2",
    elliptics_verbosity: "_env:ELLIPTICS_VERBOSITY:4",
    elliptics_logfile: "_env:ELLIPTICS_LOGFILE:/dev/stderr",
    elliptics_addr_family: "_env:ELLIPTICS_ADDR_FAMILY:2",
    elliptics_namespace: "_env:ELLIPTICS_NAMESPACE:DOCKER",
    elliptics_node_flags: "_env:ELLIPTICS_NODE_FLAGS",
  },
  dev: {
    "<<": "local",
    loglevel: "_env:LOGLEVEL:debug",
    debug: "_env:DEBUG:true",
    search_backend: "_env:SEARCH_BACKEND:database",
    http: { "<<": "http", host: "_env:REGISTRY_HOST:127.0.0.1" },
  },
  test: { "<<": "dev", storage_path: "_env:STORAGE_PATH:./tmp/test", http: "*http" },
  prod: { "<<": "s3", storage_path: "_env:STORAGE_PATH:/prod" },
};

const remarks: Readonly<Record<string, string>> = {
  common: "What every flavor starts from.",
  local: "Images in a folder of this machine.",
  s3: "Images in a bucket of Amazon S3.",
  "ceph-s3": "Images in Ceph, through its S3 gateway.",
  gcs: "Images in a bucket of Google Cloud Storage.",
  swift: "Images in a container of OpenStack Swift.",
  glance: "Layers in OpenStack Glance, all else in a folder.",
  openstack: "Another name of glance.",
  "glance-swift": "Layers in OpenStack Glance, all else in Swift.",
  "openstack-swift": "Another name of glance-swift.",
  elliptics: "Images in an Elliptics cluster.",
  dev: "The flavor of a first day, and the one without SETTINGS_FLAVOR: only this machine reaches it, and search is on.",
  test: "For trying things out, in a folder of its own.",
  prod: "For a registry that others rely on: S3.",
};
