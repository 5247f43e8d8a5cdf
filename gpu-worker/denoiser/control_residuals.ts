// The residuals that a ControlNet adds to the trunk of each full pass. The residuals stay on the device
// from one graph to the other.
import type { Runtime, Tensor, TypedArray } from "../runtime/mod.ts";
import type { DType } from "../runtime/dtype.ts";
import { TYPED_ARRAYS } from "../runtime/typed_array.ts";
import type { GraphSession } from "../session/session_loader.ts";
import { joinRows } from "./combine_rows.ts";
import type { Feeds, Residuals } from "./denoiser_shape.ts";

export interface NoResidualsOptions {
  /** The trunk's inputs. */
  names: readonly string[];
  /** Dimensions of a residual. */
  rank: number;
  /** Compute type of the trunk. */
  dtype: DType;
}

/** Returns residuals that add nothing: one zero, which broadcasts. */
export function noResiduals(
  runtime: Runtime,
  { names, rank, dtype }: NoResidualsOptions,
  owned: DisposableStack,
): Feeds {
  const data = new TYPED_ARRAYS[dtype](new ArrayBuffer(8), 0, 1) as TypedArray;
  const zero = owned.use(runtime.tensor(dtype, new Array<number>(rank).fill(1), data));
  return Object.fromEntries(names.map((name) => [name, zero]));
}

/** The loaded graphs of a ControlNet. */
export interface ControlSessions {
  net: GraphSession;
  /** Computes the hint from what the ControlNet sees. @default that is the hint */
  hint?: GraphSession;
}

export interface ControlResidualsOptions {
  sessions: ControlSessions;
  /** Input of the trunk -> output of the ControlNet. */
  residuals: Readonly<Record<string, string>>;
  /** Residuals of inputs that the ControlNet leaves alone, and of steps without it. */
  none: Feeds;
  /** The ControlNet's image: a row for each row of its call, or one row for all. */
  hint: { dims: readonly number[]; rows: readonly Float32Array[] };
  scale: number;
  /** The mode of a union, for each row of the call. @default no union */
  modes?: readonly number[] | undefined;
  runsAt: (step: number) => boolean;
  /** The ControlNet's own inputs of a step. @default the trunk's */
  feedsOf?: ((latents: Float32Array, timestep: number) => Feeds) | undefined;
}

/** Runs the ControlNet at the full passes where it is wanted. `owned` owns what stays for the whole run. */
export function controlResiduals(
  runtime: Runtime,
  options: ControlResidualsOptions,
  owned: DisposableStack,
): Residuals {
  const { sessions: { net, hint: hintGraph }, none, runsAt, feedsOf, modes } = options;
  const residuals = Object.entries(options.residuals);
  const fetch = [...new Set(residuals.map(([, output]) => output))];
  const { dims, rows } = options.hint;
  const seen = owned.use(runtime.tensor("float32", [rows.length, ...dims], joinRows(rows)));
  const constant: Feeds = {
    control_scale: owned.use(runtime.tensor("float32", [1], Float32Array.of(options.scale))),
    ...modes && {
      control_mode: owned.use(runtime.tensor("int64", [modes.length], BigInt64Array.from(modes.map(BigInt)))),
    },
  };
  // Narrowing a picture batch moves what `owned` holds, but leaves this stack open.
  const later = owned.use(new DisposableStack());
  let hint: Tensor | undefined;
  const hintOf = async (signal: AbortSignal | undefined): Promise<Tensor> => {
    if (hintGraph === undefined) return seen;
    const { hint } = await hintGraph.run({ image: seen }, { signal });
    return later.use(hint!);
  };
  return async ({ step, latents, timestep, feeds, owned: ofStep, signal }) => {
    if (!runsAt(step)) return none;
    hint ??= await hintOf(signal);
    const all: Feeds = { ...feedsOf?.(latents, timestep) ?? feeds, ...constant, hint };
    const inputs = Object.fromEntries(net.inputNames.map((name) => [name, all[name]!]));
    const outputs = await net.run(inputs, { fetch, signal });
    for (const output of Object.values(outputs)) ofStep.use(output);
    return { ...none, ...Object.fromEntries(residuals.map(([input, output]) => [input, outputs[output]!])) };
  };
}
