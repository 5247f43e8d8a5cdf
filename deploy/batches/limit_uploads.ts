// Limits the uploads at a time: while a file is read and checked, it takes several times its size.
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";

export interface LimitUploadsOptions {
  /** Largest number of uploads under way. @default 4 */
  atOnce?: number;
  /** Largest number of uploads that wait for their turn, unread. @default 64 */
  waiting?: number;
}

export function limitUploads({ atOnce = 4, waiting = 64 }: LimitUploadsOptions = {}): MiddlewareHandler {
  const queue: (() => void)[] = [];
  let underWay = 0;
  return async (c, next) => {
    if (c.req.method !== "POST") return await next();
    if (queue.length >= waiting) {
      throw new ApiError(503, "The batch service gets more files than it can read at the moment", {
        code: "batches_busy",
        retryAfter: 5,
      });
    }
    if (underWay < atOnce) underWay++;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      await next();
    } finally {
      // The place goes to the next upload that waits.
      const first = queue.shift();
      if (first === undefined) underWay--;
      else first();
    }
  };
}
