// `deno task contact-sheet`: draws prompts side by side, one row per method, as in the README.
import type { Buffer } from "node:buffer";
import sharp, { type OverlayOptions } from "sharp";
import type { SamplerOptions } from "../../sampler/mod.ts";
import { defaultModel } from "../flags/model_flags.ts";
import { toRgb } from "../media/to_rgb.ts";
import { openPipeline } from "../model/open_pipeline.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { readFlags } from "../../protocol/process/read_flags.ts";
import { runCommand } from "../../protocol/process/run_command.ts";
import { writeAtomically } from "./write_atomically.ts";
import { completeRequest } from "../request/complete_request.ts";

const HELP = `Usage: deno task contact-sheet [options]

  --model DIR             --prompts "A, B, ..."   --seed N
  --cell PIXELS           --out FILE.png

One column per prompt. Rows: method none, spectrum at 14 passes, spectrum at 10 passes.
`;

const ROWS: readonly Partial<SamplerOptions>[] = [
  { method: "none" },
  { method: "spectrum", flexWindow: 0.75 },
  { method: "spectrum", flexWindow: 3 },
];
const PROMPTS =
  "red heart, dog face, strawberry, butterfly, rocket, rainbow, crab on a blue background, pizza, " +
  "crown, octopus, tiger face on a black background, sunflower, castle, fox, " +
  "cherries on a yellow background, whale";
const GAP = 2;

async function contactSheet(args: string[], signal: AbortSignal): Promise<void> {
  const flags = readFlags(args, {
    model: "text",
    prompts: "text",
    seed: "number",
    cell: "number",
    out: "text",
    help: "switch",
  });
  if (flags.help) return console.log(HELP);
  const { model = defaultModel(), seed = 42, cell = 96, out = "out/contact-sheet.png" } = flags;
  const prompts = (flags.prompts ?? PROMPTS).split(",").map((prompt) => prompt.trim());
  using pipeline = await openPipeline(model);
  const cells: OverlayOptions[] = [];
  for (const [column, prompt] of prompts.entries()) {
    for (const [row, sampler] of ROWS.entries()) {
      const input = await picture(pipeline, { prompt, seed, sampler, cell, signal });
      cells.push({ input, left: column * (cell + GAP), top: row * (cell + GAP) });
    }
  }
  const size = (count: number) => count * (cell + GAP) - GAP;
  const sheet = sharp({
    create: { width: size(prompts.length), height: size(ROWS.length), channels: 3, background: "#ffffff" },
  });
  await writeAtomically(out, await sheet.composite(cells).png({ palette: true }).toBuffer());
  console.log(out);
}

interface Cell {
  prompt: string;
  seed: number;
  sampler: Partial<SamplerOptions>;
  /** Side in pixels. */
  cell: number;
  signal: AbortSignal;
}

async function picture(
  pipeline: Pipeline,
  { prompt, seed, sampler, cell, signal }: Cell,
): Promise<Buffer> {
  const { image } = await pipeline.generate(
    completeRequest({ prompt, seed, sampler }, pipeline.description),
    { signal },
  );
  const { width, height } = image;
  return await sharp(toRgb(image), { raw: { width, height, channels: 3 } }).resize(cell, cell).png()
    .toBuffer();
}

if (import.meta.main) await runCommand("contact-sheet", contactSheet);
