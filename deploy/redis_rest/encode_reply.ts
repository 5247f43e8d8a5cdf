// Redis replies as JSON, in the two encodings that Upstash's clients ask for.
import { Buffer } from "node:buffer";

/** A reply of ioredis to a command with buffers. */
export type RedisReply = Buffer | string | number | null | RedisReply[];

/** "base64" keeps bytes that are no text; "OK" stays as it is in both, as clients expect. */
export type ReplyEncoding = "text" | "base64";

export function encodeReply(reply: RedisReply, encoding: ReplyEncoding): unknown {
  if (Array.isArray(reply)) return reply.map((item) => encodeReply(item, encoding));
  if (typeof reply !== "string" && !Buffer.isBuffer(reply)) return reply;
  const bytes = Buffer.from(reply as Buffer);
  const text = bytes.toString();
  return encoding === "text" || text === "OK" ? text : bytes.toString("base64");
}
