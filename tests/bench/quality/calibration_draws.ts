// Draws the pictures of the calibration tables, each against every step in full, and
// keeps the distances in a log.
import { join } from "node:path";
import { picturePsnr, type Pixels } from "../../../gpu-worker/cli/calibrate/picture_psnr.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import type { CalibrationCell } from "./calibration_rows.ts";
import { readPixels, writePixels } from "./pixel_files.ts";
import { comparePictures } from "./compare_pictures.ts";
import type { Flip } from "./flip.ts";
import type { ResultLog } from "./result_log.ts";

/** FLIP costs more time than a picture. */
const FLIP_PROMPTS = 16;

/** One picture or video against the one with every step in full. */
export interface CalibrationRecord {
  /** Model, table, row, passes, plan and prompt. */
  key: string;
  /** In dB, of the values in -1..1; a video's is the mean over its frames. */
  psnr: number;
  /** Of the 8-bit pixels of pictures. */
  psnr8?: number;
  /** Of pictures. */
  ssim?: number;
  /** Of the first pictures, where it was asked for. */
  flip?: number;
}

/** Runs that are compared with each other. */
export interface CalibrationCase {
  name: string;
  prompts: readonly string[];
  request: (index: number) => Omit<PartialRequest, "sampler">;
  cells: readonly CalibrationCell[];
  /** Draws a cell, in circumstances of its own. */
  around?: (cell: CalibrationCell, draw: () => Promise<Pixels>) => Promise<Pixels>;
  /** LoRAs and the like: opens the pipeline of the whole case, reference included. */
  open?: () => Promise<Pipeline>;
}

export interface CalibrationDrawsOptions {
  pipeline: Pipeline;
  flip: Flip | undefined;
  log: ResultLog<CalibrationRecord>;
  signal: AbortSignal;
  /** Time of performance.now() at which no further prompt is begun. */
  until: number;
  /** Keeps the pictures with every step in full. */
  folder: string;
}

export class CalibrationDraws {
  readonly #options: CalibrationDrawsOptions;

  constructor(options: CalibrationDrawsOptions) {
    this.#options = options;
  }

  /** Returns the sigmas of a run's steps. */
  async sigmas(prompt: string, steps: number): Promise<Float64Array> {
    const { pipeline, signal } = this.#options;
    const sigmas: number[] = [];
    const sampler = { method: "reuse", fullSteps: [0] } as const;
    const request = completeRequest({ prompt, seed: 0, steps, sampler }, pipeline.description);
    await pipeline.generate(request, { signal, onStep: ({ sigma }) => void sigmas.push(sigma) });
    return Float64Array.from(sigmas);
  }

  /** Measures what the log lacks, prompt by prompt, so that all cells have the same prompts at any time. */
  async measure({ name, prompts, request, cells, around, open }: CalibrationCase): Promise<void> {
    const { pipeline, log, flip, until } = this.#options;
    let owned: Pipeline | undefined;
    try {
      for (const i of prompts.keys()) {
        if (performance.now() > until) return;
        const keyOf = (cell: CalibrationCell) => cellKey(cell, { model: pipeline.model.id, name, index: i });
        const missing = cells.filter((cell) => log.get(keyOf(cell)) === undefined);
        if (missing.length === 0) continue;
        owned ??= await open?.();
        const own = owned ?? pipeline;
        const reference = await this.#reference(own, { ...request(i), sampler: { method: "none" } }, {
          name,
          i,
        });
        for (const cell of missing) {
          const { steps, sampler } = cell;
          const draw = () => this.#draw(own, { ...request(i), steps, sampler });
          const drawn = await (around ? around(cell, draw) : draw());
          const psnr = Number(picturePsnr(reference, drawn).toFixed(3));
          const key = keyOf(cell);
          if (drawn.video) {
            log.add({ key, psnr });
            continue;
          }
          const { ssim, psnr: psnr8 } = comparePictures(reference.image, drawn.image);
          const distance = i < FLIP_PROMPTS ? await flip?.compare(reference.image, drawn.image) : undefined;
          log.add({
            key,
            psnr,
            psnr8: Number(psnr8.toFixed(3)),
            ssim: Number(ssim.toFixed(6)),
            ...distance !== undefined && { flip: distance },
          });
        }
      }
    } finally {
      owned?.[Symbol.dispose]();
    }
  }

  /** Draws with every step in full, or reads what an earlier call has drawn. */
  async #reference(
    pipeline: Pipeline,
    request: PartialRequest,
    { name, i }: { name: string; i: number },
  ): Promise<Pixels> {
    const { folder } = this.#options;
    const path = join(folder, `${pipeline.model.id} ${name} ${i}`.replaceAll(/[^\w.-]/g, "_"));
    const known = await readPixels(path);
    if (known) return known;
    const drawn = await this.#draw(pipeline, request);
    await Deno.mkdir(folder, { recursive: true });
    await writePixels(path, drawn);
    return drawn;
  }

  async #draw(pipeline: Pipeline, request: PartialRequest): Promise<Pixels> {
    const complete = completeRequest(request, pipeline.description);
    const { image, video } = await pipeline.generate(complete, { signal: this.#options.signal });
    return { image, ...video && { video } };
  }
}

/** Returns the key of a cell's record. Another plan for the same cell is another key. */
export function cellKey(
  { row, passes, sampler: { fullSteps } }: CalibrationCell,
  { model, name, index }: { model: string; name: string; index: number },
): string {
  return [model, name, row, passes, fullSteps?.join() ?? "", index].join("|");
}
