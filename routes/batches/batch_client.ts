// The edge's view of the batch service: signed calls that name the tenant they are for.
import type { Batch, BatchOrder, Page, StoredFile } from "../../protocol/wire/batch.ts";
import { type Call, SignedClient, type SignedClientOptions } from "../../protocol/http/signed_client.ts";

export type BatchClientOptions = Omit<SignedClientOptions, "unavailable" | "requestId">;

/** The call's owner, and the request that the call belongs to. */
export interface BatchCaller {
  tenant: string;
  requestId: string;
}

export class BatchClient {
  readonly #client: SignedClient;
  readonly #timeoutMs: number;

  constructor({ timeoutMs = 30_000, ...options }: BatchClientOptions) {
    const message = "The batch service cannot be reached at the moment";
    this.#client = new SignedClient({
      identified: true,
      ...options,
      timeoutMs,
      unavailable: { message, code: "batches_unavailable" },
    });
    this.#timeoutMs = timeoutMs;
  }

  addFile(caller: BatchCaller, { name, text }: { name: string; text: string }): Promise<StoredFile> {
    return this.#client.json("/files", this.#call(caller, { query: { name }, method: "POST", body: text }));
  }

  file(caller: BatchCaller, id: string): Promise<StoredFile> {
    return this.#client.json(`/files/${encodeURIComponent(id)}`, this.#call(caller));
  }

  files(caller: BatchCaller, query: Record<string, string>): Promise<Page<StoredFile>> {
    return this.#client.json("/files", this.#call(caller, { query }));
  }

  async deleteFile(caller: BatchCaller, id: string): Promise<void> {
    const response = await this.#client.ok(
      `/files/${encodeURIComponent(id)}`,
      this.#call(caller, { method: "DELETE" }),
    );
    await response.body?.cancel();
  }

  /** Bytes as they come. */
  async content(caller: BatchCaller, id: string): Promise<ReadableStream<Uint8Array>> {
    // The deadline is for the beginning: a slow reader may take its time over a large file.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.#timeoutMs);
    try {
      const call = this.#call(caller, { signal: late.signal });
      return (await this.#client.ok(`/files/${encodeURIComponent(id)}/content`, call)).body!;
    } finally {
      clearTimeout(timer);
    }
  }

  create(caller: BatchCaller, order: BatchOrder): Promise<Batch> {
    return this.#client.json("/batches", this.#call(caller, { method: "POST", json: order }));
  }

  batch(caller: BatchCaller, id: string): Promise<Batch> {
    return this.#client.json(`/batches/${encodeURIComponent(id)}`, this.#call(caller));
  }

  batches(caller: BatchCaller, query: Record<string, string>): Promise<Page<Batch>> {
    return this.#client.json("/batches", this.#call(caller, { query }));
  }

  cancel(caller: BatchCaller, id: string): Promise<Batch> {
    return this.#client.json(
      `/batches/${encodeURIComponent(id)}/cancel`,
      this.#call(caller, { method: "POST" }),
    );
  }

  #call({ tenant, requestId }: BatchCaller, call: Call = {}): Call {
    return { ...call, query: { ...call.query, tenant }, headers: { "x-request-id": requestId } };
  }
}
