// The page: GET / and the files it loads, GET /page/NAME. Everything comes from this
// origin and nothing else may.
import { type Context, Hono } from "hono";
import { etag } from "hono/etag";
import { secureHeaders } from "hono/secure-headers";
import { ASSETS } from "./assets.ts";

const CONTENT_TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", "data:", "blob:"],
    mediaSrc: ["blob:"],
    connectSrc: ["'self'"],
    formAction: ["'self'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: "DENY",
  // Whether this origin has TLS is for the proxy in front to say.
  strictTransportSecurity: false,
});

/**
 * Routes of the page, to be mounted at the root. Revalidated by ETag on each load, so that a new
 * deployment shows at once.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { pageRoutes } from "./mod.ts";
 * const app = new Hono().route("/", pageRoutes());
 * ```
 */
export function pageRoutes(): Hono {
  const app = new Hono();
  // Named route by route: a middleware on "*" would reach the streams of whatever this is mounted beside.
  app.get(
    "/",
    headers,
    etag(),
    (c) => respond(c, { name: "index.html", text: withPreloads(ASSETS["index.html"]!) }),
  );
  app.get("/page/:name", headers, etag(), (context) => {
    const name = context.req.param("name");
    const text = Object.hasOwn(ASSETS, name) ? ASSETS[name]! : undefined;
    return text === undefined ? context.notFound() : respond(context, { name, text });
  });
  return app;
}

function respond(c: Context, { name, text }: { name: string; text: string }): Response {
  const type = CONTENT_TYPES[name.slice(name.lastIndexOf(".") + 1)]!;
  return c.body(text, 200, { "content-type": type, "cache-control": "no-cache" });
}

/** Modules import modules: announcing them all at once spares a round trip for each level. */
function withPreloads(html: string): string {
  const modules = Object.keys(ASSETS).filter((name) => name.endsWith(".js") && name !== "early_theme.js");
  const links = modules.map((name) => `<link rel="modulepreload" href="/page/${name}">`);
  return html.replace("</head>", `${links.join("")}</head>`);
}
