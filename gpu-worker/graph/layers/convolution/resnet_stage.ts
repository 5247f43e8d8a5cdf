// Resnet blocks at one resolution, optionally followed by attention: the inside of diffusers'
// DownEncoderBlock2D, UpDecoderBlock2D, their Attn... variants and UNetMidBlock2D.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import type { ActivationName } from "../dense/activation.ts";
import { resnetBlock } from "./resnet_block.ts";
import { spatialAttention } from "../attention/spatial_attention.ts";

export interface ResnetStageOptions {
  /** Name of the module that holds `resnets` and `attentions`. */
  name: string;
  inChannels: number;
  outChannels: number;
  /** Number of resnet blocks. */
  resnets: number;
  /** Number of attentions: one after each of the first `attentions` resnets. */
  attentions: number;
  /** Groups of every norm. */
  groups: number;
  eps: number;
  act: ActivationName;
}

/** Emits the stage: [batch, inChannels, h, w] -> [batch, outChannels, h, w]. */
export function resnetStage(graph: GraphBuilder, x: Value, options: ResnetStageOptions): Value {
  const { name, inChannels, outChannels, resnets, attentions, groups, eps, act } = options;
  for (let i = 0; i < resnets; i++) {
    x = graph.scope(`resnet_${i}`, () =>
      resnetBlock(graph, x, {
        name: `${name}.resnets.${i}`,
        inChannels: i === 0 ? inChannels : outChannels,
        outChannels,
        groups,
        eps,
        act,
      }));
    if (i < attentions) {
      const norm = { channels: outChannels, groups, eps };
      x = graph.scope(
        `attention_${i}`,
        () => spatialAttention(graph, x, { name: `${name}.attentions.${i}`, ...norm }),
      );
    }
  }
  return x;
}
