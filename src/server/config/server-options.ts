import { z } from "zod";
import { option } from "../../drivers/option.ts";
import { kind, network, path, seconds, size, text, webUrl } from "./values.ts";

const mebibyte = 1024 * 1024;

const tls = z.object({
  certificate: option(path, {
    description: "The PEM file with the server's certificate, and the chain below it.",
    env: ["REGISTRY_TLS_CERTIFICATE"],
  }),
  key: option(path, {
    description: "The PEM file with the private key of the certificate.",
    env: ["REGISTRY_TLS_KEY"],
  }),
  client_ca: option(path.optional(), {
    description:
      "The PEM file with authorities whose certificates clients may show instead of a password: the common name is the account, organizational units are groups.",
    env: ["REGISTRY_TLS_CLIENT_CA"],
  }),
});

const http = z.object({
  host: option(text.default("127.0.0.1"), {
    description: "The address to listen on; 0.0.0.0 for every IPv4 interface, :: for IPv6 too.",
    env: ["REGISTRY_HOST"],
  }),
  port: option(z.int().min(0).max(65535).default(5000), {
    description: "The port to listen on; 0 takes any that is free.",
    env: ["REGISTRY_PORT"],
  }),
  tls: option(tls.optional(), { description: "Serve HTTPS instead of HTTP." }),
  trusted_proxies: option(
    kind(z.array(network), "a list of IP addresses and networks such as [127.0.0.1, 10.0.0.0/8]").default([]),
    {
      description: "Addresses and networks of the proxies whose X-Forwarded-* headers are believed.",
      env: ["REGISTRY_TRUSTED_PROXIES"],
    },
  ),
  max_json_size: option(size.default(4 * mebibyte), {
    description: "The largest JSON document that a client may send, in bytes or like 4M.",
    env: ["REGISTRY_MAX_JSON_SIZE"],
  }),
  max_layer_size: option(size.default(0), {
    description: "The largest layer that a client may send, in bytes or like 10G; 0 sets no limit.",
    env: ["REGISTRY_MAX_LAYER_SIZE"],
  }),
  idle_timeout: option(seconds.default(600), {
    description:
      "Seconds without a byte moving in either direction after which a request is given up; 0 waits for ever.",
    env: ["REGISTRY_IDLE_TIMEOUT", "GUNICORN_SILENT_TIMEOUT"],
  }),
  shutdown_timeout: option(seconds.default(3600), {
    description: "Seconds that running uploads and downloads may take to finish when the server is told to stop.",
    env: ["REGISTRY_SHUTDOWN_TIMEOUT", "GUNICORN_GRACEFUL_TIMEOUT"],
  }),
  header_timeout: option(seconds.default(60), {
    description: "Seconds that a client may take to send the headers of a request.",
    env: ["REGISTRY_HEADER_TIMEOUT"],
  }),
});

const metrics = z.object({
  host: option(text.default("127.0.0.1"), {
    description: "The address to show metrics at; whoever reaches it may see them.",
    env: ["REGISTRY_METRICS_HOST"],
  }),
  port: option(z.int().min(0).max(65535), {
    description: "The port to show metrics at, below /metrics, in Prometheus' format; 0 takes any that is free.",
    env: ["REGISTRY_METRICS_PORT"],
  }),
});

/** How the server listens and what it accepts. */
export const serverOptions = {
  http: option(http.prefault({}), { description: "Where the server listens and what it accepts." }),
  metrics: option(metrics.optional(), {
    description:
      "Where to show how much is asked for, how long it takes and what mirrors do: never where the registry is.",
  }),
  workers: option(
    kind(z.union([z.int().min(1).max(1024), z.literal("auto")]), "a number of processes or auto").default(1),
    {
      description: "How many processes serve requests; auto starts one for every processor.",
      env: ["REGISTRY_WORKERS", "GUNICORN_WORKERS"],
    },
  ),
  public_url: option(webUrl.optional(), {
    description:
      "The URL under which clients reach this registry; gen-nginx and gen-apache take the server's name from it.",
    env: ["REGISTRY_PUBLIC_URL"],
  }),
  nginx_x_accel_redirect: option(kind(z.string().regex(/^\/[^?#\s]*$/), "a path such as /_blobs").optional(), {
    description: "Let nginx send what local storage holds: the internal location that is its folder.",
    env: ["NGINX_X_ACCEL_REDIRECT"],
  }),
  apache_x_sendfile: option(z.boolean().default(false), {
    description: "Let Apache's mod_xsendfile send what local storage holds.",
    env: ["APACHE_X_SENDFILE"],
  }),
  storage_redirect: option(z.boolean().default(false), {
    description: "Answer a request for a layer with a redirect to the storage, where the storage can serve it.",
    env: ["STORAGE_REDIRECT"],
  }),
};
