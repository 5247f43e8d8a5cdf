// Draws the pictures of the calibration tables, each against every step in full, and
// keeps the distances in a log.
import { join } from "node:path";
import { drawTogether } from "../../../gpu-worker/cli/calibrate/draw_together.ts";
import { picturePsnr, type Pixels } from "../../../gpu-worker/cli/calibrate/picture_psnr.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import type { CalibrationCell } from "./calibration_rows.ts";
import { readPixels, writePixels } from "./pixel_files.ts";
import { comparePictures } from "./compare_pictures.ts";
import type { Flip } from "./flip.ts";
import type { ResultLog } from "./result_log.ts";

/** Prompts that are drawn together. A pass over one small picture leaves a part of the processor idle. */
const TOGETHER = 8;

/** One picture or video against the one with every step in full. */
export interface CalibrationRecord {
  /** Model, table, row, passes, plan and prompt. */
  key: string;
  /** In dB, of the values in -1..1; a video's is the mean over its frames. */
  psnr: number;
  /** PSNR in dB of the 8-bit pixels of pictures. */
  psnr8?: number;
  /** Only for pictures. */
  ssim?: number;
  /** Only for pictures, and only on request. */
  flip?: number;
}

/** Runs that are compared with each other. */
export interface CalibrationCase {
  name: string;
  prompts: readonly string[];
  request: (index: number) => Omit<PartialRequest, "sampler">;
  cells: readonly CalibrationCell[];
  /** Draws a cell, in circumstances of its own. */
  around?: (cell: CalibrationCell, draw: () => Promise<Pixels[]>) => Promise<Pixels[]>;
  /** LoRAs and the like: opens the pipeline of the whole case, reference included. */
  open?: () => Promise<Pipeline>;
}

export interface CalibrationDrawsOptions {
  pipeline: Pipeline;
  flip: Flip | undefined;
  log: ResultLog<CalibrationRecord>;
  signal: AbortSignal;
  /** Time of performance.now() at which no further cell is begun. */
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

  /** Measures what the log lacks, some prompts at a time, so that all cells soon have the same prompts. */
  async measure({ name, prompts, request, cells, around, open }: CalibrationCase): Promise<void> {
    const { pipeline, log, until, signal } = this.#options;
    const keyOf = (cell: CalibrationCell, index: number) =>
      cellKey(cell, { model: pipeline.model.id, name, index });
    let owned: Pipeline | undefined;
    try {
      for (let first = 0; first < prompts.length; first += TOGETHER) {
        const indices = [...prompts.keys()].slice(first, first + TOGETHER);
        const missing = cells
          .map((cell) => ({ cell, left: indices.filter((i) => log.get(keyOf(cell, i)) === undefined) }))
          .filter(({ left }) => left.length > 0);
        if (missing.length === 0) continue;
        if (performance.now() > until) return;
        owned ??= await open?.();
        const own = owned ?? pipeline;
        const references = await this.#references(own, { name, indices, request });
        for (const { cell, left } of missing) {
          if (performance.now() > until) return;
          const { steps, sampler } = cell;
          const draw = () =>
            drawTogether(own, left.map((i) => ({ ...request(i), steps, sampler })), { signal });
          const drawn = await (around ? around(cell, draw) : draw());
          for (const [at, i] of left.entries()) {
            log.add({ key: keyOf(cell, i), ...await this.#distances(references.get(i)!, drawn[at]!) });
          }
        }
      }
    } finally {
      owned?.[Symbol.dispose]();
    }
  }

  async #distances(reference: Pixels, drawn: Pixels): Promise<Omit<CalibrationRecord, "key">> {
    const psnr = Number(picturePsnr(reference, drawn).toFixed(3));
    if (drawn.video) return { psnr };
    const { ssim, psnr: psnr8 } = comparePictures(reference.image, drawn.image);
    const flip = await this.#options.flip?.compare(reference.image, drawn.image);
    return {
      psnr,
      psnr8: Number(psnr8.toFixed(3)),
      ssim: Number(ssim.toFixed(6)),
      ...flip !== undefined && { flip },
    };
  }

  /**
   * Draws with every step in full, or reads what an earlier call has drawn. Returns the pictures by index.
   */
  async #references(
    pipeline: Pipeline,
    { name, indices, request }: Pick<CalibrationCase, "name" | "request"> & { indices: readonly number[] },
  ): Promise<Map<number, Pixels>> {
    const { folder, signal } = this.#options;
    const pathOf = (i: number) =>
      join(folder, `${pipeline.model.id} ${name} ${i}`.replaceAll(/[^\w.-]/g, "_"));
    const known = new Map<number, Pixels>();
    for (const i of indices) {
      const pixels = await readPixels(pathOf(i));
      if (pixels) known.set(i, pixels);
    }
    const missing = indices.filter((i) => !known.has(i));
    const requests = missing.map((i) => ({ ...request(i), sampler: { method: "none" as const } }));
    await Deno.mkdir(folder, { recursive: true });
    for (const [at, pixels] of (await drawTogether(pipeline, requests, { signal })).entries()) {
      await writePixels(pathOf(missing[at]!), pixels);
      known.set(missing[at]!, pixels);
    }
    return known;
  }
}

/** Returns the key of a cell's record. Another plan for the same cell is another key. */
export function cellKey(
  { row, passes, sampler: { fullSteps } }: CalibrationCell,
  { model, name, index }: { model: string; name: string; index: number },
): string {
  return [model, name, row, passes, fullSteps?.join() ?? "", index].join("|");
}
