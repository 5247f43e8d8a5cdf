// Spectrum beside all steps in full, on videos of models/shapes: passes, PSNR frame by frame, and whether the
// videos still show what was asked for. Prints the table that docs/benchmarks.md holds; --sheet FILE.webp
// shows the videos side by side, a row a method.
import { encodeAnimation } from "../../gpu-worker/media/encode_animation.ts";
import type { DecodedVideo } from "../../gpu-worker/media/decoded_video.ts";
import { openPipeline } from "../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../gpu-worker/pipeline/pipeline.ts";
import { readFlags } from "../../protocol/process/read_flags.ts";
import { runCommand } from "../../protocol/process/run_command.ts";
import type { SamplerOptions } from "../../sampler/mod.ts";
import { measureVideo } from "../models/measure_video.ts";
import { type ShapePrompt, shapePrompts } from "../models/shape_prompts.ts";
import { completeRequest } from "../../gpu-worker/request/complete_request.ts";

const STEPS = 50;
const [SHEET_ROWS, SHEET_COLUMNS, SHEET_SCALE, SHEET_GAP] = [3, 8, 2, 6];

const SETTINGS: { name: string; sampler: Partial<SamplerOptions> }[] = [
  { name: "spectrum, flex_window 0.75", sampler: { method: "spectrum", flexWindow: 0.75 } },
  { name: "spectrum, flex_window 3", sampler: { method: "spectrum", flexWindow: 3 } },
  { name: "taylorseer", sampler: { method: "taylorseer" } },
  { name: "reuse", sampler: { method: "reuse" } },
];

interface Drawn {
  video: DecodedVideo;
  passes: number;
  seconds: number;
  right: boolean;
}

const HELP = `Usage: deno task bench:videos [options]

  --model DIR         a checkpoint that draws shapes (models/shapes)
  --prompts N         videos of each method (24)
  --sheet FILE.webp   writes the videos side by side, a row a method
`;

async function videoBench(args: string[]): Promise<void> {
  const { model = "models/shapes", prompts = 24, sheet, help } = readFlags(args, {
    model: "text",
    prompts: "number",
    sheet: "text",
    help: "switch",
  });
  if (help) return console.log(HELP);
  const rows: DecodedVideo[][] = [];
  const asked = shapePrompts(prompts);
  using pipeline = await openPipeline(model);
  const full: Drawn[] = [];
  for (const prompt of asked) full.push(await draw(pipeline, prompt, { method: "none" }));
  rows.push(full.map(({ video }) => video));
  console.log("| method | full passes | PSNR, mean | worst frame | right | denoising |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  console.log(`| none | ${STEPS} of ${STEPS} | | | ${share(full)} | 1.00 |`);
  for (const { name, sampler } of SETTINGS) {
    const drawn: Drawn[] = [];
    for (const prompt of asked) drawn.push(await draw(pipeline, prompt, sampler));
    if (rows.length < SHEET_ROWS) rows.push(drawn.map(({ video }) => video));
    const frames = drawn.flatMap(({ video }, i) => psnrs(video, full[i]!.video));
    const times = total(full) / total(drawn);
    console.log(
      `| ${name} | ${drawn[0]!.passes} of ${STEPS} | ${mean(frames).toFixed(2)} dB | ` +
        `${Math.min(...frames).toFixed(2)} dB | ${share(drawn)} | ${times.toFixed(2)} |`,
    );
  }
  if (sheet !== undefined) await Deno.writeFile(sheet, await encodeSheet(rows));
}

/** Beside each other, twice as large: the first prompts in columns. */
async function encodeSheet(rows: readonly (readonly DecodedVideo[])[]): Promise<Uint8Array> {
  const columns = rows[0]!.slice(0, SHEET_COLUMNS);
  const { width, height, fps } = columns[0]!;
  const [cellWidth, cellHeight] = [width * SHEET_SCALE + SHEET_GAP, height * SHEET_SCALE + SHEET_GAP];
  const [fullWidth, fullHeight] = [
    columns.length * cellWidth - SHEET_GAP,
    rows.length * cellHeight - SHEET_GAP,
  ];
  const frames = columns[0]!.frames.map((_, time) => {
    const sheet = new Uint8Array(fullWidth * fullHeight * 3).fill(255);
    for (const [row, videos] of rows.entries()) {
      for (const [column, { frames }] of videos.slice(0, SHEET_COLUMNS).entries()) {
        for (let y = 0; y < height * SHEET_SCALE; y++) {
          for (let x = 0; x < width * SHEET_SCALE; x++) {
            const from = 3 * (Math.floor(y / SHEET_SCALE) * width + Math.floor(x / SHEET_SCALE));
            const to = 3 * ((row * cellHeight + y) * fullWidth + column * cellWidth + x);
            sheet.set(frames[time]!.subarray(from, from + 3), to);
          }
        }
      }
    }
    return sheet;
  });
  return await encodeAnimation({ width: fullWidth, height: fullHeight, fps, frames }, {
    format: "webp",
    compression: 80,
  });
}

async function draw(
  pipeline: Pipeline,
  { prompt, ...facts }: ShapePrompt,
  sampler: Partial<SamplerOptions>,
): Promise<Drawn> {
  const request = completeRequest({ prompt, seed: 42, steps: STEPS, sampler }, pipeline.description);
  const { video, plan, seconds } = await pipeline.generate(request);
  const seen = measureVideo(video!);
  return {
    video: video!,
    passes: plan.filter((kind) => kind === "full").length,
    seconds: seconds.denoise,
    right: Object.entries(facts).every(([name, value]) => seen[name as keyof typeof seen] === value),
  };
}

/** Returns the PSNR of each frame in dB; equal frames count as 100. */
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

if (import.meta.main) await runCommand("bench:videos", videoBench);
