// One page of a sorted set of ids, the newest first: it costs what it returns.
import type { Redis } from "ioredis";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Page, PageQuery } from "../../protocol/wire/batch.ts";

export interface ListPageOptions<T> extends PageQuery {
  redis: Redis;
  /** The sorted set. */
  index: string;
  /** Reads records in one step; undefined: it is gone, and leaves the list. */
  read: (ids: readonly string[]) => Promise<(T | undefined)[]>;
}

/** Reads a page of a list. @throws {ApiError} 400 if `after` is no id of the list */
export async function listPage<T extends { id: string }>(
  { redis, index, after, limit, read }: ListPageOptions<T>,
): Promise<Page<T>> {
  const rank = after === undefined ? -1 : await redis.zrevrank(index, after);
  if (rank === null) throw new ApiError(400, "'after' must be an id of this list", { param: "after" });
  // One more tells whether there are more.
  const ids = await redis.zrevrange(index, rank + 1, rank + 1 + limit);
  const shown = ids.slice(0, limit);
  const found = shown.length === 0 ? [] : await read(shown);
  const gone = shown.filter((_, at) => found[at] === undefined);
  if (gone.length > 0) await redis.zrem(index, ...gone);
  const data = found.filter((item) => item !== undefined);
  return {
    object: "list",
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: ids.length > limit,
  };
}
