// LLaMA as a text encoder (transformers' LlamaModel). Returns the states between two
// layers, which HunyuanVideo uses.
import type { Weights } from "../../checkpoint/weights.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { OnnxModel } from "../graph_builder.ts";
import { causalEncoderGraph } from "./causal_encoder.ts";
import { parseLlamaConfig } from "./llama_config.ts";

export interface LlamaEncoderOptions {
  /** The component's parsed config.json. */
  config: unknown;
  weights: Weights;
  /** Compute type; the output is float32. */
  dtype: DType;
  /** Component folder, for names and errors. @default "text_encoder" */
  name?: string;
  /**
   * Number of layers at the end to leave out with their weights. At least 1, as the
   * last layer's output is normed.
   */
  skippedLayers: number;
  /** Declares the inputs of a picture in the text (`causalEncoderGraph`). @default the text is text alone */
  seesPictures?: boolean;
}

/**
 * Builds the graph input_ids [batch, tokens] int64 -> hidden_state [batch, tokens, hidden_size],
 * transformers' hidden_states[-(skippedLayers + 1)].
 * Attention is causal, so tokens after the text change nothing before them: leave the padding out.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function llamaEncoderGraph(options: LlamaEncoderOptions): OnnxModel {
  const { weights, dtype, name = "text_encoder", skippedLayers, seesPictures = false } = options;
  const config = parseLlamaConfig(options.config, { name, skippedLayers });
  return causalEncoderGraph({
    config,
    weights,
    dtype,
    name,
    states: [config.numHiddenLayers - skippedLayers],
    ...seesPictures && { images: { deepstackLayers: 0 } },
  });
}
