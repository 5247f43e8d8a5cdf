// The language models of Qwen3, Qwen2.5-VL and Qwen3-VL as text encoders. A prompt is text alone, so the
// models of text and pictures run without their vision tower.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { OnnxModel } from "../graph_builder.ts";
import { causalEncoderGraph, type CausalEncoderGraphOptions } from "./causal_encoder.ts";
import { parseQwenConfig, type QwenArchitecture } from "./qwen_config.ts";

export interface QwenEncoderOptions extends Omit<CausalEncoderGraphOptions, "config" | "name"> {
  architecture: QwenArchitecture;
  /** The component's parsed config.json. */
  config: unknown;
  /** Component folder, for names and errors. @default "text_encoder" */
  name?: string;
}

/**
 * Builds the graph input_ids [batch, tokens] int64 -> hidden_state [batch, tokens, states *
 * hidden_size]. `causalEncoderGraph` describes the options. Negative `states` count from the end: -1 is
 * the last layer's output.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function qwenEncoderGraph(options: QwenEncoderOptions): OnnxModel {
  const { architecture, name = "text_encoder" } = options;
  const config = parseQwenConfig(options.config, { architecture, name });
  const layers = config.numHiddenLayers;
  const states = options.states.map((state) => state < 0 ? layers + 1 + state : state);
  const deepest = Math.max(...states);
  if (deepest > layers || states.some((state) => state < 0)) {
    throw new CheckpointError(
      `Cannot use ${name}/config.json as 'num_hidden_layers' must be at least ${
        Math.max(...options.states.map((state) => state < 0 ? -1 - state : state))
      }: current value is ${layers}`,
    );
  }
  return causalEncoderGraph({ ...options, config, name, states });
}
