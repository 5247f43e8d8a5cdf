// Headers of API answers: nothing of them is a page, and which pages elsewhere may read them is configured.
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { every } from "hono/combine";
import type { Environment } from "./environment.ts";

/**
 * Headers of every API answer. Hono's secureHeaders() has more: they say something of pages, of programs
 * that are no longer in use, and of TLS, which is for the proxy in front to say.
 */
export const API_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/**
 * Creates the middleware that sets CORS and security headers. It comes before `authenticate`, as preflights
 * have no key.
 * @param corsOrigins "https://app.example", or "*" @default pages of this origin alone
 */
export function apiHeaders(corsOrigins: readonly string[] = []): MiddlewareHandler<Environment> {
  if (corsOrigins.length === 0) return secure;
  const shared = cors({
    origin: corsOrigins.includes("*") ? "*" : [...corsOrigins],
    allowMethods: ["GET", "POST", "DELETE"],
    exposeHeaders: [
      "x-request-id",
      "x-spectrum-cache",
      "x-spectrum-key",
      "x-spectrum-job",
      "location",
      "retry-after",
    ],
    maxAge: 600,
  });
  return every(secure, shared);
}

const secure: MiddlewareHandler<Environment> = async (c, next) => {
  await next();
  if (c.get("hasHeaders")) return;
  for (const name in API_HEADERS) c.res.headers.set(name, API_HEADERS[name]!);
};
