// The graphs of a transformer denoiser, which share weights: the trunk, the head with a forecast in
// front, and the modulation of the last norm. A family adds its inputs, its blocks, and the
// conversion of tokens to latents.
import type { DenoiserOptions } from "./denoiser_options.ts";
import { GraphBuilder, type OnnxModel, type Value } from "./graph_builder.ts";
import { linear, type LinearOptions } from "./layers/dense/linear.ts";
import { featureOutput } from "./layers/head/feature_output.ts";
import { forecastInputs } from "./layers/head/forecast.ts";
import { forecastOutput } from "./layers/head/forecast_output.ts";
import { gridFeatureOutput, gridForecast, type GridTokens } from "./layers/head/grid_tokens.ts";
import { modulationOutputs } from "./layers/head/modulation_outputs.ts";
import { continuousLayerNorm } from "./layers/norm/continuous_layer_norm.ts";

export interface TransformerGraphs {
  /**
   * The family's inputs -> feature [batch, ...axes, inner], the tokens after the last block; the forecast's
   * error (`featureOutput`); and output, in the latents' shape.
   */
  trunk: OnnxModel;
  /**
   * Inputs: forecast_weights [steps, anchors] float32; history [anchors, batch, ...axes, inner]; scale and
   * shift from modulation; output_weights [outputs, rows] float32, where rows = steps * batch, step-major.
   * Output: output [outputs, ...], sums over the rows, in the latents' shape.
   */
  head: OnnxModel;
  /**
   * The conditioning's inputs, with timestep [steps] -> scale [rows, 1, inner], 1 added, and shift [rows,
   * inner] of the last norm.
   */
  modulation: OnnxModel;
}

export interface TransformerParts {
  /**
   * Names of the feature's axes except the last: a grid's axes if the output needs its
   * size, or one axis of plain tokens.
   */
  axes: readonly string[];
  /** Declares the conditioning's inputs and emits it. `everyStep` pairs every timestep with every row. */
  conditioning(graph: GraphBuilder, options: { everyStep: boolean }): Value;
  /**
   * Declares the trunk's inputs and emits everything up to the last block. Returns the
   * grid if there are several `axes`.
   */
  blocks(graph: GraphBuilder): LastTokens & { conditioning: Value };
  /** The last norm. @default AdaLayerNormContinuous, norm_out */
  norm?: LastNorm;
  /** Epsilon of the last norm. */
  eps: number;
  /** proj_out. Its inFeatures are the norm's features. */
  projection: LinearOptions;
  /** Declares the output, built from projected tokens. */
  emitLatents(graph: GraphBuilder, tokens: LastTokens, rows: "batch" | "outputs"): void;
}

/** Like {@linkcode GridTokens}, but plain tokens have no grid. */
export type LastTokens = Pick<GridTokens, "tokens"> & Partial<GridTokens>;

export interface LastNorm {
  /** Emits the norm of [batch, tokens, features]. */
  apply(graph: GraphBuilder, tokens: Value, conditioning: Value): Value;
  /** Declares the outputs scale and shift. */
  emitModulation(graph: GraphBuilder, conditioning: Value): void;
}

/** Builds the graphs. The config sets all sizes; the numbers of tokens and pictures are free. */
export function transformerGraphs(
  { weights, dtype, name = "transformer" }: Omit<DenoiserOptions, "config">,
  parts: TransformerParts,
): TransformerGraphs {
  const { axes, eps } = parts;
  const projection = { ...parts.projection, asStored: true };
  const features = projection.inFeatures;
  const norm = parts.norm ?? normOut(features, eps);
  const builder = (part: string) => new GraphBuilder({ name: `${name}_${part}`, weights, dtype });

  const trunk = builder("trunk");
  const { tokens, grid, conditioning } = parts.blocks(trunk);
  if (grid) gridFeatureOutput(trunk, { tokens, grid }, { axes, features });
  else featureOutput(trunk, tokens, [...axes, features]);
  const projected = linear(trunk, norm.apply(trunk, tokens, conditioning), projection);
  parts.emitLatents(trunk, { tokens: projected, ...grid && { grid } }, "batch");
  trunk.refuseUnusedWeights();

  const head = builder("head");
  const forecast: LastTokens = grid
    ? gridForecast(head, { axes, features })
    : { tokens: forecastInputs(head, [...axes, features]).feature };
  const output = forecastOutput(head, forecast.tokens, { projection, eps });
  parts.emitLatents(head, { ...forecast, tokens: output }, "outputs");

  const modulation = builder("modulation");
  norm.emitModulation(modulation, parts.conditioning(modulation, { everyStep: true }));
  return { trunk: trunk.build(), head: head.build(), modulation: modulation.build() };
}

function normOut(features: number, eps: number): LastNorm {
  const name = "norm_out";
  return {
    apply: (graph, tokens, conditioning) =>
      continuousLayerNorm(graph, tokens, { name, conditioning, features, eps }),
    emitModulation: (graph, conditioning) => modulationOutputs(graph, conditioning, { name, features }),
  };
}
