// A ControlNet of FLUX.1: diffusers' FluxControlNetModel, as InstantX and Shakker-Labs publish it, unions
// included.
import {
  assertControlNetFits,
  controlNetError,
  type ControlNetFiles,
  requireControlNetClass,
} from "../../checkpoint/control_net_files.ts";
import { fluxBlocks, type FluxBlocksHooks } from "../../graph/flux_blocks.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../../graph/graph_builder.ts";
import { combinedConditioning } from "../../graph/layers/dense/combined_conditioning.ts";
import { embedding } from "../../graph/layers/dense/embedding.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import type { ControlNet } from "../../pipeline/control_net.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { FluxTransformerConfig } from "./flux_config.ts";
import { type FluxControlNetConfig, parseFluxControlNetConfig } from "./flux_control_net_config.ts";
import { type FluxResiduals, residualName, spreadSamples } from "./flux_residuals.ts";

export interface FluxControlNetOptions {
  /** The model's name, for errors. */
  model: string;
  /** The model's transformer. */
  config: FluxTransformerConfig;
  /** Compute type. */
  dtype: DType;
}

/** A ControlNet, and the blocks of the trunk that it reaches. */
export interface FluxControlNet extends ControlNet {
  reaches: FluxResiduals;
}

/**
 * Reads a ControlNet of FLUX.1.
 * @throws {CheckpointError} naming both, if the ControlNet is of another class or was made for another model.
 */
export function readFluxControlNet(
  files: ControlNetFiles,
  { model, config: own, dtype }: FluxControlNetOptions,
): FluxControlNet {
  requireControlNetClass(files, { model, takes: "FluxControlNetModel" });
  const config = parseFluxControlNetConfig(files.config, `${files.folder}/config.json`);
  const pair = { folder: files.folder, model };
  assertControlNetFits(pair, [
    { option: "in_channels", value: config.inChannels, expected: own.inChannels },
    { option: "num_attention_heads", value: config.numAttentionHeads, expected: own.numAttentionHeads },
    { option: "attention_head_dim", value: config.attentionHeadDim, expected: own.attentionHeadDim },
    { option: "joint_attention_dim", value: config.jointAttentionDim, expected: own.jointAttentionDim },
    { option: "pooled_projection_dim", value: config.pooledProjectionDim, expected: own.pooledProjectionDim },
    { option: "axes_dims_rope", value: config.axesDimsRope, expected: own.axesDimsRope },
  ]);
  if (config.guidanceEmbeds && !own.guidanceEmbeds) {
    throw controlNetError(pair, "it has a guidance embedding, which the model lacks");
  }
  const residualsOf = (kind: keyof FluxResiduals, samples: number, blocks: number) =>
    spreadSamples({ samples, blocks }).map((
      sample,
      block,
    ) => [residualName(kind, block), `${kind}_${sample}`]);
  return {
    name: files.shortName,
    ...config.modes > 0 && { modes: config.modes },
    residuals: Object.fromEntries([
      ...residualsOf("double", config.numLayers, own.numLayers),
      ...residualsOf("single", config.numSingleLayers, own.numSingleLayers),
    ]),
    reaches: { double: config.numLayers > 0, single: config.numSingleLayers > 0 },
    buildGraphs: () => ({ net: controlNetGraph(files, { config, dtype }) }),
  };
}

/**
 * Builds the graph. Inputs: the trunk's; hint [1 or batch, image_tokens, in_channels], the control image's
 * packed latents; control_scale [1]; control_mode [batch] int64 of a union. Outputs: double_N [batch,
 * image_tokens, inner], and single_N [batch, text_tokens + image_tokens, inner], which is zero for text.
 */
function controlNetGraph(
  { name, weights }: ControlNetFiles,
  { config, dtype }: { config: FluxControlNetConfig; dtype: DType },
): OnnxModel {
  const graph = new GraphBuilder({ name, weights, dtype });
  const { innerDim, inChannels } = config;
  const scale = graph.cast(graph.input("control_scale", [1], "float32"));
  const sample = (tokens: Value, layer: string) =>
    graph.node("Mul", [
      linear(graph, tokens, { name: layer, inFeatures: innerDim, outFeatures: innerDim }),
      scale,
    ]);
  let padding: Value | undefined;
  const hooks: FluxBlocksHooks = {
    begin({ image, text }, tables) {
      padding = zeros(graph, text, innerDim);
      const hint = linear(
        graph,
        graph.cast(graph.input("hint", ["hint_batch", "image_tokens", inChannels], "float32")),
        { name: "controlnet_x_embedder", inFeatures: inChannels, outFeatures: innerDim, asStored: true },
      );
      const streams = { image: graph.node("Add", [image, hint]), text };
      return config.modes === 0 ? { streams, ...tables } : withMode(graph, streams, { config, tables });
    },
    afterDouble(image, index) {
      graph.output(
        `double_${index}`,
        sample(image, `controlnet_blocks.${index}`),
        ["batch", "image_tokens", innerDim],
      );
      return image;
    },
    afterSingle(joint, { index, context }) {
      const [, image] = graph.nodes("Split", [joint, context.tokenCounts], {
        attributes: { axis: 1 },
        outputs: 2,
      });
      const residual = sample(image!, `controlnet_single_blocks.${index}`);
      const padded = graph.node("Concat", [padding!, residual], { attributes: { axis: 1 } });
      graph.output(`single_${index}`, padded, ["batch", "all_tokens", innerDim]);
      return joint;
    },
  };
  const contextOf = () => ({
    conditioning:
      combinedConditioning(graph, { config, scaledTimestep: true, everyStep: false }).conditioning,
  });
  fluxBlocks(graph, config, contextOf, { hooks });
  graph.refuseUnusedWeights();
  return graph.build();
}

/** Emits [batch, text_tokens, features] of zeros. */
function zeros(graph: GraphBuilder, text: Value, features: number): Value {
  const size = graph.node("Shape", [text], { attributes: { start: 0, end: 2 }, dtype: "int64" });
  const shape = graph.node("Concat", [size, graph.ints(features)], { attributes: { axis: 0 } });
  return graph.node("Expand", [graph.scalar(0), shape], { dtype: graph.dtype });
}

/** Puts the embedded mode of a union before the text, at the first text token's position. */
function withMode(
  graph: GraphBuilder,
  { image, text }: { image: Value; text: Value },
  { config: { innerDim, modes }, tables }: {
    config: FluxControlNetConfig;
    tables: { cos: Value; sin: Value };
  },
): ReturnType<NonNullable<FluxBlocksHooks["begin"]>> {
  const mode = embedding(graph, graph.input("control_mode", ["batch"], "int64"), {
    name: "controlnet_mode_embedder",
    count: modes,
    features: innerDim,
  });
  const token = graph.node("Unsqueeze", [mode, graph.ints(1)]);
  const lengthened = (table: Value) => {
    const first = graph.node("Slice", [table, graph.ints(0), graph.ints(1), graph.ints(0)]);
    return graph.node("Concat", [first, table], { attributes: { axis: 0 } });
  };
  return {
    streams: { image, text: graph.node("Concat", [token, text], { attributes: { axis: 1 } }) },
    cos: lengthened(tables.cos),
    sin: lengthened(tables.sin),
  };
}
