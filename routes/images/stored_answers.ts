// Answers that were put together from stored pictures, given again to requests in the same words. Such a
// request is admitted, limited, counted and logged like any other. Only its plan is not computed again.
import type { Context, MiddlewareHandler } from "hono";
import { LRUCache } from "lru-cache";
import { type ReadJsonOptions, readJsonText } from "../../protocol/http/read_json.ts";
import type { ResultStore, StoredResult } from "../../protocol/store/results/result_store.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import { MAX_CONTROL_BODY_BYTES } from "../requests/control_image.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import type { EdgeMetrics } from "../metrics/edge_metrics.ts";
import { API_HEADERS } from "../middleware/api_headers.ts";
import type { Environment } from "../middleware/environment.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";
import type { imagesResponse } from "./image_response.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

export interface StoredAnswersOptions {
  results: ResultStore;
  catalog: Pick<ModelCatalog, "current">;
  limits: Pick<KeyLimits, "countsPictures">;
  metrics: Pick<EdgeMetrics, "opened" | "completed">;
  reading: ReadJsonOptions;
}

interface StoredAnswer {
  /** The list of models at the time. Another list may give the request another meaning. */
  cards: readonly ModelCard[];
  /** Metadata setting of the key that asked, which decides the file too. */
  metadata: boolean | undefined;
  keys: readonly string[];
  storedAt: readonly number[];
  /** The text of the answer between `created` and the pictures. */
  between: readonly string[];
}

/** Headers that give a request a meaning beside its body. */
const TELLING = ["idempotency-key", "prefer", "cache-control"];
/** Longer bodies are not remembered. */
const MAX_TEXT = 16_384;
const MAX_BYTES = 8 * 2 ** 20;
/** Where a picture's base64 belongs. No prompt has this text, as a quote in a JSON string has a backslash. */
const PLACE = '"b64_json":""';

export class StoredAnswers {
  readonly #options: StoredAnswersOptions;
  readonly #answers = new LRUCache<string, StoredAnswer>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ between }, text) =>
      2 * text.length + between.reduce((sum, { length }) => sum + 2 * length, 1024),
  });

  constructor(options: StoredAnswersOptions) {
    this.#options = options;
  }

  /**
   * Returns the middleware that answers from the store. It comes after all that admits a request and before
   * the route, which finds the body in `jsonText`.
   */
  give(): MiddlewareHandler<Environment> {
    const { reading } = this.#options;
    return async (c, next) => {
      const text = await readJsonText(c.req.raw, { maxBytes: MAX_CONTROL_BODY_BYTES, ...reading });
      const answer = this.#answers.get(text);
      const body = answer && isPlain(c) ? this.#bodyOf(answer, c) : undefined;
      if (body === undefined) {
        c.set("jsonText", text);
        return await next();
      }
      c.set("cache", "hit");
      c.set("hasHeaders", true);
      return new Response(body, {
        headers: {
          "content-type": "application/json",
          "x-request-id": c.get("requestId"),
          "x-spectrum-cache": "hit",
          "x-spectrum-key": answer!.keys.join(", "),
          ...API_HEADERS,
        },
      });
    };
  }

  /** Remembers an answer all of whose pictures came from the store. */
  remember(
    c: Context<Environment>,
    { keys, answer }: { keys: readonly (string | undefined)[]; answer: ReturnType<typeof imagesResponse> },
  ): void {
    const text = c.get("jsonText");
    const { catalog, results } = this.#options;
    const cards = catalog.current();
    if (text === undefined || text.length > MAX_TEXT || cards === undefined || !isPlain(c)) return;
    if (!keys.every((key) => key !== undefined)) return;
    const stored = recall(results, keys);
    if (stored === undefined) return;
    const isSame = answer.data.every((picture, place) =>
      "b64_json" in picture && picture.b64_json === stored[place]!.b64_json
    );
    if (!isSame) return;
    const { created: _created, ...facts } = answer;
    const data = answer.data.map((picture) => ({ ...picture, b64_json: "" }));
    const bare = JSON.stringify({ ...facts, data });
    this.#answers.set(text, {
      cards,
      metadata: c.get("apiKey")?.metadata,
      keys,
      storedAt: stored.map(({ stored_at }) => stored_at),
      between: bare.slice(1).split(PLACE),
    });
  }

  /** Undefined if the request may mean something else by now, or a picture is gone. */
  #bodyOf({ cards, metadata, keys, storedAt, between }: StoredAnswer, c: Context<Environment>) {
    const { results, catalog, limits, metrics } = this.#options;
    const key = c.get("apiKey");
    if (catalog.current() !== cards || key?.metadata !== metadata || limits.countsPictures(key)) return;
    const stored = recall(results, keys);
    const isSame = stored?.every(({ stored_at }, place) => stored_at === storedAt[place]) ?? false;
    if (stored === undefined || !isSame) return;
    const seconds = (performance.now() - c.get("startedAt")!) / 1000;
    for (const _ of keys) {
      metrics.opened("hit");
      metrics.completed("hit", seconds);
    }
    const parts = between.map((part, place) =>
      place === 0 ? part : `"b64_json":"${stored[place - 1]!.b64_json}"${part}`
    );
    return `{"created":${unixSeconds(Date.now())},${parts.join("")}`;
  }
}

function isPlain({ req }: Context<Environment>): boolean {
  return TELLING.every((name) => req.header(name) === undefined);
}

/** Returns all these results, where the store can tell at once that it has them. */
function recall(results: ResultStore, keys: readonly string[]): StoredResult[] | undefined {
  const found: StoredResult[] = [];
  for (const key of keys) {
    const result = results.recall?.(key);
    if (result === undefined) return undefined;
    found.push(result);
  }
  return found;
}
