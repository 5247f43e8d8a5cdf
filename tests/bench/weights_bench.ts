// Pictures or videos by --weights, beside weights as stored: PSNR, and the time of denoising in turn.
// Prints the table that docs/quality.md holds: deno run -A tests/bench/weights_bench.ts --model
// models/emoji --prompts 24
import { parseArgs } from "@std/cli/parse-args";
import type { HeldWeights } from "../../gpu-worker/checkpoint/blocks/quantization_of.ts";
import { openPipeline } from "../../gpu-worker/model/open_pipeline.ts";
import { completeRequest } from "../../gpu-worker/request/complete_request.ts";
import { shapePrompts } from "../models/shape_prompts.ts";

const HELD: readonly HeldWeights[] = ["as-stored", "int8", "int4"];

interface Drawn {
  /** Pixels of all frames, 0..1. */
  pixels: Float32Array;
  seconds: number;
}

async function main(): Promise<void> {
  const { model, prompts: count, steps } = parseArgs(Deno.args, {
    default: { model: "models/emoji", prompts: 24, steps: 50 },
  });
  const drawn = new Map<HeldWeights, Drawn[]>();
  for (const weights of HELD) {
    using pipeline = await openPipeline(String(model), { weights });
    const names = pipeline.model.names ?? shapePrompts(Number(count)).map(({ prompt }) => prompt);
    const results: Drawn[] = [];
    for (const prompt of names.slice(0, Number(count))) {
      const request = { prompt, seed: 42, steps: Number(steps), sampler: { method: "none" as const } };
      const { image, video, seconds } = await pipeline.generate(
        completeRequest(request, pipeline.description),
      );
      const pixels = video
        ? Float32Array.from(video.frames.flatMap((frame) => [...frame]), (value) => value / 255)
        : image.data.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
      results.push({ pixels, seconds: seconds.denoise });
    }
    drawn.set(weights, results);
  }
  const stored = drawn.get("as-stored")!;
  console.log(`${model}, ${stored.length} prompts, ${steps} steps in full`);
  console.log("| --weights | PSNR, mean | worst | denoising |");
  console.log("| --- | --- | --- | --- |");
  for (const weights of HELD.slice(1)) {
    const results = drawn.get(weights)!;
    const psnrs = results.map(({ pixels }, i) => psnr(pixels, stored[i]!.pixels));
    const mean = psnrs.reduce((sum, value) => sum + value, 0) / psnrs.length;
    const times = total(results) / total(stored);
    console.log(
      `| ${weights} | ${mean.toFixed(1)} dB | ${Math.min(...psnrs).toFixed(1)} dB | ${times.toFixed(2)} |`,
    );
  }
}

function psnr(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return -10 * Math.log10(sum / a.length);
}

function total(results: readonly Drawn[]): number {
  return results.reduce((sum, { seconds }) => sum + seconds, 0);
}

await main();
