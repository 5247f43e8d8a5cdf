// FLUX's denoiser: diffusers' FluxTransformer2DModel.
import { type FluxTransformerConfig, parseFluxTransformerConfig } from "./flux_config.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import { fluxBlocks, type FluxBlocksOptions } from "../../graph/flux_blocks.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { type FluxResiduals, residualHooks } from "./flux_residuals.ts";
import { JOINT_EPS } from "../../graph/layers/attention/joint_attention.ts";
import { combinedConditioning } from "../../graph/layers/dense/combined_conditioning.ts";
import { type TransformerGraphs, transformerGraphs } from "../../graph/transformer_graphs.ts";

export interface FluxGraphsOptions extends DenoiserOptions, Pick<FluxBlocksOptions, "beside"> {
  /** The blocks of the trunk that have inputs for a ControlNet's residuals. @default none */
  residuals?: FluxResiduals;
}

/**
 * Builds the graphs. The output is [batch, image_tokens, out_channels].
 * Inputs of trunk and modulation: timestep, 0..1 as FluxPipeline passes it; pooled_projections [batch,
 * pooled]; guidance [batch] if the config has guidance_embeds.
 * Further inputs of the trunk: hidden_states [batch, image_tokens, in_channels];
 * encoder_hidden_states [batch, text_tokens, joint]; rotary_cos and rotary_sin [text_tokens +
 * image_tokens, head_dim / 2] float32 (`fluxRotaryTables`); the residuals of `residualHooks`; what
 * `fluxBlocks` says of references and masks.
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function fluxTransformerGraphs(
  { residuals, beside, ...options }: FluxGraphsOptions,
): TransformerGraphs {
  const config = parseFluxTransformerConfig(options.config);
  const { innerDim, outChannels } = config;
  return transformerGraphs(options, {
    axes: ["image_tokens"],
    conditioning: (graph, { everyStep }) => conditioningOf(graph, config, everyStep),
    blocks: (graph) =>
      fluxBlocks(graph, config, () => ({ conditioning: conditioningOf(graph, config, false) }), {
        beside,
        hooks: residuals && residualHooks(graph, residuals),
      }),
    eps: JOINT_EPS,
    projection: { name: "proj_out", inFeatures: innerDim, outFeatures: outChannels },
    emitLatents: (graph, { tokens }, rows) =>
      graph.output("output", graph.cast(tokens, "float32"), [rows, "image_tokens", outChannels]),
  });
}

function conditioningOf(graph: GraphBuilder, config: FluxTransformerConfig, everyStep: boolean): Value {
  return combinedConditioning(graph, { config, scaledTimestep: true, everyStep }).conditioning;
}
