// A ControlNet of a model: its graphs, and how its outputs reach the denoiser's trunk. Forecasts run the
// head alone, which reads none of them, so the ControlNet runs at full passes only.
import type { ImageEncoder } from "../vae/image_encoder.ts";
import type { VideoSize } from "../vae/video_size.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { Control, ControlNetRules } from "../request/control.ts";
import type { BuildGraphsOptions } from "../graph/build_graphs_options.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";

/** How ControlNets steer a family's denoiser. */
export interface FamilyControls {
  /** Dimensions of a residual. */
  rank: number;
  /** Whether a ControlNet sees the control image's pixels, 0..1, or its latents. */
  sees: "pixels" | "latents";
  /** Whether the branch of the negative prompt gets the residuals of the prompt. @default false */
  promptOnly?: true;
}

/** A ControlNet as its family has read it. */
export interface ControlNet extends ControlNetRules {
  /** Input of the trunk -> output of `net` that is added there. */
  residuals: Readonly<Record<string, string>>;
  buildGraphs(options?: BuildGraphsOptions): ControlNetGraphs;
}

export interface ControlNetGraphs {
  /**
   * Inputs: the trunk's, as far as it declares them; hint [1 or batch, ...]; control_scale [1] float32;
   * control_mode [batch] int64 of a union. Outputs: the residuals, in the compute type.
   */
  net: OnnxModel;
  /** image [1 or batch, 3, height, width] float32 -> hint. @default the hint is what the ControlNet sees */
  hint?: OnnxModel;
}

/** The control of one run, with what the ControlNet sees of the image. */
export interface PreparedControl extends Omit<Control, "image"> {
  hint: { dims: readonly number[]; data: Float32Array };
}

/** Returns the names and modes of ControlNets, for requests. */
export function controlNetRules(nets: readonly ControlNet[]): { controlNets?: readonly ControlNetRules[] } {
  if (nets.length === 0) return {};
  return { controlNets: nets.map(({ name, modes }) => ({ name, ...modes !== undefined && { modes } })) };
}

const NET = "control ";
const HINT = "control hint ";

/** Returns the ControlNets' graphs beside those of the model. `controlGraphsOf` finds them there. */
export function controlGraphs(
  nets: readonly ControlNet[],
  options: BuildGraphsOptions = {},
): Record<string, OnnxModel> {
  return Object.assign(
    {},
    ...nets.map(({ name, buildGraphs }) => {
      const { net, hint } = buildGraphs(options);
      return { [NET + name]: net, ...hint && { [HINT + name]: hint } };
    }),
  );
}

/** Returns a ControlNet's graphs. */
export function controlGraphsOf(graphs: Readonly<Record<string, OnnxModel>>, name: string): ControlNetGraphs {
  const hint = graphs[HINT + name];
  return { net: graphs[NET + name]!, ...hint && { hint } };
}

export interface PrepareControlOptions {
  controls: FamilyControls;
  size: VideoSize;
  /** The family's packing of latents. @default no packing */
  packing:
    | {
      pack(latents: Float32Array, size: VideoSize): Float32Array;
      dims(size: VideoSize): number[];
    }
    | undefined;
  encoder: ImageEncoder | undefined;
  /** Draws standard normal values for the latents. diffusers draws them before all others. */
  noise: (count: number) => Float32Array;
  signal: AbortSignal | undefined;
}

/** Returns what the ControlNet sees of the control image. */
export async function prepareControl(
  { image, ...control }: Control,
  { controls, size, packing, encoder, noise, signal }: PrepareControlOptions,
): Promise<PreparedControl> {
  if (controls.sees === "pixels") {
    return { ...control, hint: { dims: [3, image.height, image.width], data: toUnit(image) } };
  }
  const latents = await encoder!.encode(image, { noise, signal });
  return {
    ...control,
    hint: packing
      ? { dims: packing.dims(size), data: packing.pack(latents, size) }
      : { dims: [size.channels, size.height, size.width], data: latents },
  };
}

/** Scales pixels from -1..1 to 0..1. */
function toUnit({ data }: DecodedImage): Float32Array {
  return data.map((value) => (value + 1) / 2);
}
