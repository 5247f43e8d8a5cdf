// Admits clients of a server without API keys: programs and pages of its own machine,
// directly and by a loopback name.
import { LRUCache } from "lru-cache";
import { ApiError } from "../../protocol/wire/api_error.ts";

/**
 * Headers that proxies, load balancers and content networks add. One that is missing here is not noticed, so
 * the list is long: a proxy on this machine would make the whole world local.
 */
const PROXY_HEADERS = new RegExp(
  "^(" + [
    "forwarded",
    "via",
    "x-forwarded(-.*)?",
    "x-real-ip",
    "x-real-port",
    "(x-)?client-ip",
    "(x-)?remote-(ip|addr|host|user)",
    "x-(originating|cluster-client|proxyuser|coming|backend|host)-(ip|from|host)",
    "(x-)?proxy-(client-ip|id|user|authorization|connection|host|path|remote-user)",
    "x-original-(.*)",
    "x-rewrite-url",
    "x-replaced-path",
    "x-host",
    "x-(request|queue)-start",
    "x-(auth-request|authenticated|replit|haproxy|traefik|caddy|tunnel)-.*",
    "x-ms-proxy",
    "x-bluecoat-via",
    "surrogate-capability",
    "max-forwards",
    "x-proxied(-.*)?",
    "x-envoy-.*",
    "x-azure-.*",
    "x-appengine-.*",
    "x-arr-.*",
    "x-amzn?-.*",
    "x-cloud-trace-context",
    "x-vercel-.*",
    "x-nf-.*",
    "x-akamai-.*",
    "akamai-.*",
    "x-fastly-.*",
    "x-varnish",
    "x-goog-.*",
    "x-iap-.*",
    "x-ssl-.*",
    "ssl-client-.*",
    "x-client-(cert|verify|dn)",
    "x-nginx-proxy",
    "x-url-scheme",
    "x-scheme",
    "front-end-https",
    "wl-proxy-.*",
    "cf-.*",
    "cdn-.*",
    "true-client-ip",
    "(fastly|fly|do|incap|tailscale|ngrok)-.*",
    "ali-cdn-.*",
    "tailscale-user-.*",
  ].join("|") + ")$",
);

/** Names that need no parsing. */
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;
const LOOPBACK_NAME = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export interface CheckLocalOptions {
  /** Origins whose pages may call the API besides its own. */
  corsOrigins: readonly string[];
}

/**
 * Checks that a request comes from a program or an own page on this machine.
 * @throws {ApiError} 403 for a request from elsewhere, through a proxy, or that a page
 * of another site has sent
 */
export function checkLocal(
  { request, address }: { request: Request; address: Deno.Addr | undefined },
  options: CheckLocalOptions,
): void {
  const remote = address !== undefined && "hostname" in address ? address.hostname : "";
  const isLocal = /^(127\.|::1$|::ffff:127\.)/.test(remote) &&
    namesLoopback(request);
  if (!isLocal) {
    throw new ApiError(
      403,
      "This server has no API keys configured, so it answers programs on its own machine only",
      { code: "loopback_only" },
    );
  }
  const changes = !/^(GET|HEAD|OPTIONS)$/.test(request.method);
  // Forms of any page can send all other types without asking first.
  const type = request.headers.get("content-type");
  if (changes && type !== null && !/^(application\/json|multipart\/form-data)\s*(;|$)/i.test(type)) {
    throw new ApiError(
      415,
      `The content type must be application/json or multipart/form-data: current value is ${
        type.slice(0, 60)
      }`,
      { code: "unsupported_media_type" },
    );
  }
  const mark = proxyMark(request);
  if (mark !== undefined) {
    throw new ApiError(
      403,
      "This server has no API keys configured, so it answers no proxy, and this request comes as from one: " +
        `it has ${mark}. Set SPECTRUM_API_KEYS, or start with --key, and send the key`,
      { code: "loopback_only" },
    );
  }
  if (changes && !isOwnPage(request, options)) {
    throw new ApiError(
      403,
      "This server has no API keys configured, so pages of other sites may not start anything here",
      { code: "cross_site_request" },
    );
  }
}

/** Checks the address and the Host. A page whose host name was rebound to 127.0.0.1 sends its own Host. */
function namesLoopback({ headers, url }: Request): boolean {
  const host = headers.get("host");
  // Mostly the address repeats the Host.
  const isSame = host === null || url.startsWith(`http://${host}/`);
  if (isSame && host !== null && LOOPBACK_HOST.test(host)) return true;
  return [url, ...isSame ? [] : [`http://${host}`]].every((name) =>
    LOOPBACK_NAME.test(URL.parse(name)?.hostname ?? "")
  );
}

/**
 * Returns the header by which a request is taken for a proxy's, undefined for any other request.
 *
 * nginx's `proxy_pass` adds no header unless it is told to. It names the address that it was given, and
 * closes the connection. Browsers, curl and fetch() keep connections. A proxy that hides better is not told
 * apart, so the server's log warns of all.
 */
function proxyMark({ headers, url }: Request): string | undefined {
  let mark: string | undefined;
  // forEach() makes no iterator, which costs as much as the test of all names.
  headers.forEach((_, name) => mark ??= isProxyHeader(name) ? name : undefined);
  if (mark !== undefined) return `the header '${mark.slice(0, 40)}'`;
  if (!/\bclose\b/i.test(headers.get("connection") ?? "")) return undefined;
  const { hostname, port } = new URL(url);
  return port !== "" && hostname !== "[::1]" ? "'Connection: close'" : undefined;
}

/** Names that were tested. Clients send few different ones. */
const tested = new LRUCache<string, boolean>({ max: 256 });

function isProxyHeader(name: string): boolean {
  const known = tested.get(name);
  if (known !== undefined) return known;
  const isOne = PROXY_HEADERS.test(name);
  if (name.length <= 64) tested.set(name, isOne);
  return isOne;
}

/** Programs send neither header, browsers at least one. */
function isOwnPage({ headers, url }: Request, { corsOrigins }: CheckLocalOptions): boolean {
  const origin = headers.get("origin");
  if (origin !== null && (corsOrigins.includes("*") || corsOrigins.includes(origin))) return true;
  const site = headers.get("sec-fetch-site");
  return (site === null || site === "same-origin" || site === "none") &&
    (origin === null || origin === new URL(url).origin);
}
