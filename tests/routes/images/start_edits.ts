// The edge in this process, before a worker with a pipeline that only notes what it is asked for; and images
// to send to /v1/images/edits.
import sharp from "sharp";
import { encodeImage } from "../../../gpu-worker/media/encode_image.ts";
import type { ImageSize } from "../../../gpu-worker/media/decoded_image.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { FakePipeline, type FakePipelineOptions } from "../../gpu-worker/http/fake_pipeline.ts";
import { WorkerClient } from "../../../routes/runs/worker_client.ts";
import { WorkerPool } from "../../../routes/runs/worker_pool.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";

export const LOCAL = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;

/** A PNG of one grey. */
export const grey = (level: number, width = 16, height = 16) =>
  encodeImage({ width, height, data: new Float32Array(3 * width * height).fill(level) });

/** A PNG whose left columns are transparent. */
export async function hole(width = 16, height = 16, columns = width / 2): Promise<Uint8Array<ArrayBuffer>> {
  const data = Uint8Array.from(
    { length: 4 * width * height },
    (_, i) => i % 4 === 3 && (i >> 2) % width < columns ? 0 : 255,
  );
  return new Uint8Array(await sharp(data, { raw: { width, height, channels: 4 } }).png().toBuffer());
}

/** A model that looks at up to three images. */
export const LOOKING = {
  id: "looking",
  references: { max: 3, pictureSize: ({ width, height }: ImageSize) => ({ width: 2 * width, height }) },
};

export type Field = string | Uint8Array<ArrayBuffer>;

/** Starts both. The caller disposes of `worker`. */
export function startEdits(options: FakePipelineOptions = {}) {
  const pipeline = new FakePipeline(options);
  // A second model, for errors to name.
  const worker = startTestWorker([pipeline, new FakePipeline(options.id ? {} : LOOKING)]);
  /** Paths of the calls to the worker that carried an image. */
  const carriers: string[] = [];
  const client = new WorkerClient({
    url: worker.url,
    fetch: (input, init) => {
      const body = typeof init?.body === "string" ? JSON.parse(init.body) : {};
      if ((body.image ?? body.references) !== undefined) carriers.push(new URL(String(input)).pathname);
      return fetch(input, init);
    },
  });
  const app = createApp({
    workers: new WorkerPool({ workers: [client], log: () => {} }),
    results: new MemoryResultStore(),
    keys: [],
    keyStore: new MemoryKeyStore(),
    log: () => {},
  });
  const send = (body: BodyInit) =>
    app.request("http://localhost/v1/images/edits", { method: "POST", body }, LOCAL);
  const edit = (fields: Record<string, Field | Field[]>) => {
    const form = new FormData();
    for (const [name, values] of Object.entries(fields)) {
      for (const value of [values].flat()) {
        form.append(name, typeof value === "string" ? value : new File([value], "start.png"));
      }
    }
    return send(form);
  };
  const ask = (path: string) => app.request(`http://localhost${path}`, {}, LOCAL);
  return { pipeline, worker, app, edit, send, ask, carriers };
}
