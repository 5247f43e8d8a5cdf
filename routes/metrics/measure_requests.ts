// Counts requests by route, and how long their answers took to begin.
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { Environment } from "../middleware/environment.ts";
import type { EdgeMetrics } from "./edge_metrics.ts";

export function measureRequests(metrics: EdgeMetrics): MiddlewareHandler<Environment> {
  return async (c, next) => {
    const startedAt = c.get("startedAt") ?? performance.now();
    await next();
    const path = routePath(c, -1);
    metrics.answered({
      method: c.req.method,
      // A request that only a middleware matched has no route.
      route: path.endsWith("*") ? "unmatched" : path,
      status: c.res.status,
      seconds: (performance.now() - startedAt) / 1000,
    });
  };
}
