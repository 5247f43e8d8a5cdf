// Spectrum beside all steps in full, on clips of models/shapes: passes, PSNR frame by frame, and whether the clips still show
// what was asked for. Prints the table that docs/benchmarks.md holds.
import { parseArgs } from "@std/cli/parse-args";
import type { DecodedVideo } from "../../gpu-worker/media/decoded_video.ts";
import { openPipeline } from "../../gpu-worker/pipelines/open_pipeline.ts";
import type { Pipeline } from "../../gpu-worker/pipelines/pipeline.ts";
import type { SamplerOptions } from "../../sampler/mod.ts";
import { measureClip } from "../models/_measure_clip.ts";
import { type ShapePrompt, shapePrompts } from "../models/_shape_prompts.ts";

const STEPS = 50;

const SETTINGS: { name: string; sampler: Partial<SamplerOptions> }[] = [
  { name: "spectrum, flex_window 0.75", sampler: { method: "spectrum", flexWindow: 0.75 } },
  { name: "spectrum, flex_window 3", sampler: { method: "spectrum", flexWindow: 3 } },
  { name: "taylorseer, flex_window 0.75", sampler: { method: "taylorseer", flexWindow: 0.75 } },
  { name: "reuse, flex_window 0.75", sampler: { method: "reuse", flexWindow: 0.75 } },
];

interface Drawn {
  clip: DecodedVideo;
  passes: number;
  seconds: number;
  right: boolean;
}

async function main(): Promise<void> {
  const { model, prompts } = parseArgs(Deno.args, { default: { model: "models/shapes", prompts: 24 } });
  const asked = shapePrompts(Number(prompts));
  using pipeline = await openPipeline(String(model));
  const full: Drawn[] = [];
  for (const prompt of asked) full.push(await draw(pipeline, prompt, { method: "none" }));
  console.log("| method | full passes | PSNR, mean | worst frame | right | denoising |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  console.log(`| none | ${STEPS} of ${STEPS} | | | ${share(full)} | 1.00 |`);
  for (const { name, sampler } of SETTINGS) {
    const drawn: Drawn[] = [];
    for (const prompt of asked) drawn.push(await draw(pipeline, prompt, sampler));
    const frames = drawn.flatMap(({ clip }, i) => psnrs(clip, full[i]!.clip));
    const times = total(full) / total(drawn);
    console.log(
      `| ${name} | ${drawn[0]!.passes} of ${STEPS} | ${mean(frames).toFixed(2)} dB | ` +
        `${Math.min(...frames).toFixed(2)} dB | ${share(drawn)} | ${times.toFixed(2)} |`,
    );
  }
}

async function draw(
  pipeline: Pipeline,
  { prompt, ...facts }: ShapePrompt,
  sampler: Partial<SamplerOptions>,
): Promise<Drawn> {
  const request = pipeline.complete({ prompt, seed: 42, steps: STEPS, sampler });
  const { video, plan, seconds } = await pipeline.generate(request);
  const seen = measureClip(video!);
  return {
    clip: video!,
    passes: plan.filter((kind) => kind === "full").length,
    seconds: seconds.denoise,
    right: Object.entries(facts).every(([name, value]) => seen[name as keyof typeof seen] === value),
  };
}

/** Of each frame, in dB; frames that are equal count as 100. */
function psnrs(a: DecodedVideo, b: DecodedVideo): number[] {
  return a.frames.map((frame, index) => {
    const other = b.frames[index]!;
    const squares = frame.reduce((sum, value, i) => sum + (value - other[i]!) ** 2, 0);
    return squares === 0 ? 100 : 10 * Math.log10(255 ** 2 * frame.length / squares);
  });
}

function share(drawn: readonly Drawn[]): string {
  return `${drawn.filter(({ right }) => right).length} of ${drawn.length}`;
}

function total(drawn: readonly Drawn[]): number {
  return drawn.reduce((sum, { seconds }) => sum + seconds, 0);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

if (import.meta.main) await main();
