// Upstash's REST interface before a plain Redis: https://upstash.com/docs/redis/features/restapi,
// as far as this project uses it: POST / (one command), /pipeline, /multi-exec and
// /subscribe/{channel}, server-sent events.
import { timingSafeEqual } from "node:crypto";
import { Hono } from "hono";
import type { Redis } from "ioredis";
import { streamSSE } from "hono/streaming";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { handleError } from "../../protocol/http/handle_error.ts";
import { readJson } from "../../protocol/http/read_json.ts";
import { type Log, structuredLog } from "../../protocol/process/structured_log.ts";
import type { ChannelHub } from "./channel_hub.ts";
import { encodeReply, type RedisReply, type ReplyEncoding } from "./encode_reply.ts";

export interface RedisRestOptions {
  redis: Redis;
  channels: ChannelHub;
  /** Bearer token of clients. */
  token: string;
  /** Largest body in bytes, as at Upstash. @default 10485760 */
  maxBytes?: number;
  /** @default to standard output */
  log?: Log;
}

type Command = [string, ...string[]];
type Answer = { result: unknown } | { error: string };

export function createRedisRestApp(
  { redis, channels, token, maxBytes = 10 * 2 ** 20, log = structuredLog({ process: "redis" }) }:
    RedisRestOptions,
): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    const given = c.req.header("authorization") ?? "";
    if (!isEqual(given, `Bearer ${token}`)) return c.json({ error: "WRONGPASS invalid token" }, 401);
    await next();
  });

  // Upstash reads JSON whatever the content type says.
  const bodyOptions = { maxBytes, anyType: true };
  app.post("/", async (c) => {
    const command = toCommand(await readJson(c.req.raw, bodyOptions));
    const answer = await run(redis, command, encodingOf(c.req.raw));
    return c.json(answer, "error" in answer ? 400 : 200);
  });

  app.post("/pipeline", async (c) => {
    const commands = toCommands(await readJson(c.req.raw, bodyOptions));
    const encoding = encodingOf(c.req.raw);
    // One connection and no waiting in between: ioredis sends them in order, Redis answers in order.
    return c.json(await Promise.all(commands.map((command) => run(redis, command, encoding))));
  });

  app.post("/multi-exec", async (c) => {
    const commands = toCommands(await readJson(c.req.raw, bodyOptions));
    const encoding = encodingOf(c.req.raw);
    const transaction = redis.multi();
    for (const [name, ...args] of commands) transaction.callBuffer(name, ...args);
    try {
      const replies = await transaction.exec() ?? [];
      return c.json(replies.map(([error, reply]) => toAnswer(error ?? (reply as RedisReply), encoding)));
    } catch (cause) {
      return c.json({ error: (cause as Error).message }, 400);
    }
  });

  app.post("/subscribe/:channel", (c) => {
    const channel = c.req.param("channel");
    return streamSSE(c, async (stream) => {
      const { promise: gone, resolve } = Promise.withResolvers<void>();
      stream.onAbort(resolve);
      // Written one after the other: a stream keeps the order.
      using subscription = await channels.subscribe(
        channel,
        (message) => void stream.writeSSE({ data: `message,${channel},${message}` }),
      ).catch(() => undefined);
      // Redis is away: the stream ends, and its reader comes back.
      if (subscription === undefined) return;
      await stream.writeSSE({ data: `subscribe,${channel},1` });
      // Finds out when the other side has gone without a word.
      const heartbeat = setInterval(() => stream.write(":\n"), 15_000);
      await gone;
      clearInterval(heartbeat);
    });
  });

  app.onError(handleError({ log, toBody: ({ message }) => ({ error: `ERR ${message}` }) }));
  return app;
}

async function run(redis: Redis, [name, ...args]: Command, encoding: ReplyEncoding): Promise<Answer> {
  try {
    return toAnswer(await redis.callBuffer(name, ...args) as RedisReply, encoding);
  } catch (cause) {
    return { error: (cause as Error).message };
  }
}

function toAnswer(reply: RedisReply | Error, encoding: ReplyEncoding): Answer {
  return reply instanceof Error ? { error: reply.message } : { result: encodeReply(reply, encoding) };
}

function encodingOf({ headers }: Request): ReplyEncoding {
  return headers.get("upstash-encoding") === "base64" ? "base64" : "text";
}

/** @throws {ApiError} 400 */
function toCommands(body: unknown): Command[] {
  if (!Array.isArray(body)) throw new ApiError(400, "the body must be an array of commands");
  return body.map(toCommand);
}

/** @throws {ApiError} 400 */
function toCommand(value: unknown): Command {
  const isCommand = Array.isArray(value) && value.length > 0 &&
    value.every((part) => ["string", "number", "boolean"].includes(typeof part));
  if (!isCommand) throw new ApiError(400, "a command must be an array of its name and arguments");
  return value.map(String) as Command;
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [new TextEncoder().encode(a), new TextEncoder().encode(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
