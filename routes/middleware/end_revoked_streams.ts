// Ends streams whose key was revoked after they began: a stream may last for hours.
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { KeyDirectory } from "../keys/key_directory.ts";
import type { Environment } from "./environment.ts";

/**
 * Creates the middleware that ends the streams of revoked keys. It comes after `authenticate`. A stream ends
 * with an `error` at its next event or comment, once this edge knows of the revocation.
 */
export function endRevokedStreams(directory: Pick<KeyDirectory, "find">): MiddlewareHandler<Environment> {
  return async (c, next) => {
    await next();
    const key = c.get("apiKey");
    // A stored answer is no stream.
    if (key === undefined || c.get("hasHeaders")) return;
    if (!c.res.headers.get("content-type")?.startsWith("text/event-stream")) return;
    // Asking for the body makes a stream of it: not for every answer.
    const { body } = c.res;
    if (body === null) return;
    // While the store is away nobody can be told to be revoked.
    const isRevoked = async () => {
      const record = await directory.find(key.id).catch(() => undefined);
      return record !== undefined && record.revoked_at !== null;
    };
    const guarded = body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        async transform(chunk, controller) {
          if (!await isRevoked()) return controller.enqueue(chunk);
          controller.enqueue(
            new TextEncoder().encode(`event: error\ndata: ${JSON.stringify(refusal())}\n\n`),
          );
          controller.terminate();
        },
      }),
    );
    c.res = new Response(guarded, c.res);
  };
}

function refusal() {
  return new ApiError(401, "This API key was revoked", { code: "revoked_api_key" }).toBody();
}
