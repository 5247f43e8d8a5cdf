// GET /openapi.json, and /docs to browse it: Swagger UI from npm, served from here, so
// that no other host is asked.
import { type Context, Hono } from "hono";
import { etag } from "hono/etag";
import { secureHeaders } from "hono/secure-headers";
import swaggerCss from "swagger-ui-dist/swagger-ui.css" with { type: "text" };
import swaggerJs from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "text" };
import { openApiDocument } from "./document.ts";

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Spectrum Edge: API</title>
<link rel="icon" href="/page/icon.svg">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/back.css">
</head>
<body>
<p class="back"><a href="/">Spectrum Edge: draw in the browser</a></p>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

/** Swagger UI is as wide, in the same letters. */
const BACK = `.back { max-width: 1460px; margin: 16px auto 0; padding: 0 20px; font: 14px sans-serif }
.dark-mode .back a { color: #8ab4f8 }
`;

/** Without a link to a validator elsewhere. Swagger UI has a dark theme, which the page must choose. */
const START = `const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
follow();
dark.addEventListener("change", follow);
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", validatorUrl: null, deepLinking: true });
`;

const FILES: Record<string, { text: string; type: string }> = {
  "swagger-ui.css": { text: swaggerCss, type: "text/css; charset=utf-8" },
  "swagger-ui-bundle.js": { text: swaggerJs, type: "text/javascript; charset=utf-8" },
  "back.css": { text: BACK, type: "text/css; charset=utf-8" },
  "start.js": { text: START, type: "text/javascript; charset=utf-8" },
};

const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    // Swagger UI's symbols are in its style sheet.
    imgSrc: ["'self'", "data:"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: "DENY",
  // Whether this origin has TLS is for the proxy in front to say.
  strictTransportSecurity: false,
});

export function openApiRoutes(): Hono {
  const app = new Hono();
  let json: string | undefined;
  app.get("/openapi.json", headers, etag(), (c) => {
    json ??= JSON.stringify(openApiDocument());
    return respond(c, { text: json, type: "application/json" });
  });
  app.get("/docs", headers, etag(), (c) => respond(c, { text: HTML, type: "text/html; charset=utf-8" }));
  app.get("/docs/:name", headers, etag(), (c) => {
    const name = c.req.param("name");
    return Object.hasOwn(FILES, name) ? respond(c, FILES[name]!) : c.notFound();
  });
  return app;
}

function respond(c: Context, { text, type }: { text: string; type: string }): Response {
  return c.body(text, 200, { "content-type": type, "cache-control": "no-cache" });
}
