// Headers of API answers: nothing of them is a page, and which pages elsewhere may read them is configured.
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { every } from "hono/combine";
import { secureHeaders } from "hono/secure-headers";

/**
 * @param corsOrigins "https://app.example", or "*"; none: pages of this origin alone. Before
 * `authenticate`: preflights have no key.
 */
export function apiHeaders(corsOrigins: readonly string[] = []): MiddlewareHandler {
  const secure = secureHeaders({
    contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    xFrameOptions: "DENY",
    // Whether this origin has TLS is for the proxy in front to say.
    strictTransportSecurity: false,
    // These say something of pages and of programs that are no longer in use.
    originAgentCluster: false,
    crossOriginOpenerPolicy: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
    removePoweredBy: false,
  });
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
