// LLaVA's vision tower (transformers' LlavaForConditionalGeneration.get_image_features): CLIP's states of a
// picture's patches in the width of the language model.
import type { Weights } from "../../checkpoint/weights.ts";
import type { DType } from "../../runtime/dtype.ts";
import { GraphBuilder, type OnnxModel } from "../graph_builder.ts";
import { activation } from "../layers/dense/activation.ts";
import { linear } from "../layers/dense/linear.ts";
import type { LlavaConfig } from "./llava_config.ts";
import { clipVisionStates } from "./clip_vision_encoder.ts";

export interface LlavaVisionEncoderOptions {
  config: LlavaConfig;
  weights: Weights;
  /** Compute type; the output is float32. */
  dtype: DType;
  /** Component folder, for names and errors. @default "text_encoder" */
  name?: string;
}

/**
 * Builds the graph pixel_values [pictures, 3, image_size, image_size] float32 -> image_features [tokens,
 * hidden_size of the text].
 * @throws {CheckpointError} if the config contradicts the weights.
 */
export function llavaVisionEncoderGraph(options: LlavaVisionEncoderOptions): OnnxModel {
  const { config, weights, dtype, name = "text_encoder" } = options;
  const { vision, text: { hiddenSize: features }, projectorAct, projectorBias: bias } = config;
  const graph = new GraphBuilder({ name: `${name}_vision`, weights, dtype });
  // transformers 5 holds both models in one more module.
  const root = graph.has("model.multi_modal_projector.linear_1.weight") ? "model." : "";
  const states = clipVisionStates(graph, { config: vision, prefix: `${root}vision_tower.` });
  const patches = graph.node("Slice", [states, graph.ints(1), graph.ints(2 ** 31 - 1), graph.ints(1)]);
  const projected = graph.scope("projector", () => {
    const name = `${root}multi_modal_projector`;
    const wide = linear(graph, patches, {
      name: `${name}.linear_1`,
      inFeatures: vision.hidden_size,
      outFeatures: features,
      bias,
    });
    return linear(graph, activation(graph, wide, projectorAct), {
      name: `${name}.linear_2`,
      inFeatures: features,
      outFeatures: features,
      bias,
    });
  });
  const flat = graph.node("Reshape", [projected, graph.ints(-1, features)]);
  graph.output("image_features", graph.cast(flat, "float32"), ["tokens", features]);
  return graph.build();
}
