// Answers requests without a route: 405 with Allow if the path knows other methods, else 404. A call of
// OpenAI's clients that cannot be served gets a sentence that says why.
import type { Hono, NotFoundHandler } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Environment } from "./environment.ts";
import { unservedSentence } from "./unserved_paths.ts";

/**
 * Creates the handler of paths that no route has.
 * @param app with all its routes: later routes are not known
 */
export function notFound(app: Hono<Environment>): NotFoundHandler<Environment> {
  // The app's own router closes once it has answered; this one holds the routes whatever their method.
  const router = new TrieRouter<string>();
  for (const { method, path } of app.routes) {
    if (method !== "ALL" && !path.endsWith("*")) router.add("ALL", path, method);
  }
  return (c) => {
    const { method, path } = c.req;
    const known = router.match("ALL", path)[0].map(([method]) => method);
    const allowed = new Set(
      known.flatMap((known) => known === "GET" ? ["GET", "HEAD"] : [known]),
    );
    const unserved = unservedSentence(method, path);
    if (unserved !== undefined && allowed.size === 0) {
      throw new ApiError(404, unserved, { code: "not_supported" });
    }
    if (allowed.size === 0 || allowed.has(method)) {
      throw new ApiError(404, `There is no ${method} ${path.slice(0, 200)}`, { code: "not_found" });
    }
    const allow = [...allowed].join(", ");
    const wrong = `${path.slice(0, 200)} takes ${allow}: current method is ${method}`;
    throw new ApiError(405, unserved ?? wrong, {
      code: unserved === undefined ? "method_not_allowed" : "not_supported",
      headers: { allow },
    });
  };
}
