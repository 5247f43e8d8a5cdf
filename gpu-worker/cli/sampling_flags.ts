// The flags that say how a picture is sampled: those of `generate` and `batch` alike.
import type { Method, SamplerOptions } from "../../sampler/mod.ts";
import type { PartialRequest } from "../pipelines/pipeline.ts";
import type { FlagKind, Flags } from "./read_flags.ts";

export const SAMPLING_FLAGS = {
  "negative-prompt": "text",
  "seed": "number",
  "steps": "number",
  "width": "number",
  "height": "number",
  "guidance-scale": "number",
  "true-cfg-scale": "number",
  "guidance-rescale": "number",
  "max-sequence-length": "number",
  "method": "text",
  "w": "number",
  "m": "number",
  "lam": "number",
  "order": "number",
  "window-size": "number",
  "flex-window": "number",
  "warmup-steps": "number",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const SAMPLING_HELP = `\
  --negative-prompt TEXT   what not to draw; takes --true-cfg-scale > 1
  --steps N                sampling steps (the checkpoint's)
  --width N --height N     pixels (the checkpoint's)
  --guidance-scale X       distilled guidance, for checkpoints with a guidance embedding
  --true-cfg-scale X       classifier-free guidance; 1 is off (the checkpoint's)
  --guidance-rescale X     keeps the spread that classifier-free guidance widens, 0..1 (0)
  --max-sequence-length N  tokens of the T5 prompt (the checkpoint's)
  --method M               none | spectrum | taylorseer | reuse (spectrum)
  --w X --m N --lam X      spectrum: share of the Chebyshev fit 0..1, highest degree, ridge penalty
  --order N                taylorseer: 1 | 2
  --window-size X --flex-window X --warmup-steps N   when a full pass is due`;

/** Everything of a request but its prompt; `completeRequest` checks the values. */
export function samplingRequest(flags: Flags<typeof SAMPLING_FLAGS>): Omit<PartialRequest, "prompt"> {
  return {
    seed: flags.seed ?? 42,
    negativePrompt: flags["negative-prompt"],
    steps: flags.steps,
    width: flags.width,
    height: flags.height,
    guidanceScale: flags["guidance-scale"],
    trueCfgScale: flags["true-cfg-scale"],
    guidanceRescale: flags["guidance-rescale"],
    maxSequenceLength: flags["max-sequence-length"],
    sampler: {
      // The sampler itself refuses unknown methods and orders, with the list of those it has.
      method: flags.method as Method | undefined,
      order: flags.order as SamplerOptions["order"] | undefined,
      w: flags.w,
      m: flags.m,
      lam: flags.lam,
      windowSize: flags["window-size"],
      flexWindow: flags["flex-window"],
      warmupSteps: flags["warmup-steps"],
    },
  };
}
