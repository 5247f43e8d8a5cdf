// Requests of tests, and what comes of them.
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { Receipt } from "../../protocol/wire/receipt.ts";

export interface Answer {
  status: number;
  headers: Headers;
  picture: { b64_json: string; seed: number; receipt: Receipt } | undefined;
  // deno-lint-ignore no-explicit-any
  body: any;
}

export interface PostOptions {
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** POST /v1/images/generations as a stream or not. */
export function post(
  url: string,
  fields: Record<string, unknown>,
  { headers = {}, signal }: PostOptions = {},
): Promise<Response> {
  return fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ prompt: "x", ...fields }),
    ...signal && { signal },
  });
}

export async function generate(
  url: string,
  fields: Record<string, unknown>,
  options: PostOptions = {},
): Promise<Answer> {
  const response = await post(url, fields, options);
  const body = await response.json();
  return { status: response.status, headers: response.headers, picture: body.data?.[0], body };
}

export interface StreamedEvent {
  id: string | undefined;
  type: string;
  // deno-lint-ignore no-explicit-any
  data: any;
}

/** Events of a stream until it ends, however it does. */
export async function* streamed(response: Response): AsyncGenerator<StreamedEvent> {
  const events = response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(
    new EventSourceParserStream(),
  );
  for await (const { id, event = "message", data } of events) {
    yield { id, type: event, data: JSON.parse(data) };
  }
}
