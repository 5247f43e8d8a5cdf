// What every adaptive norm sees, from its two halves: the timestep's, and the prompt's, which all steps share.
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { activation } from "./activation.ts";

export interface TimeAndPrompt {
  /** [batch, features], or [steps, features] with `everyStep` */
  time: Value;
  /** [batch, features] */
  prompt: Value;
}

export interface TimeAndPromptOptions {
  features: number;
  /** Pairs every timestep with every prompt, step-major. @default row with row */
  everyStep?: boolean;
}

/** Emits SiLU(time + prompt): [batch, features], or [steps * batch, features]. */
export function timeAndPrompt(
  graph: GraphBuilder,
  { time, prompt }: TimeAndPrompt,
  { features, everyStep = false }: TimeAndPromptOptions,
): Value {
  // Each adaptive norm of diffusers applies its own SiLU to the same vector; here it is done once.
  if (!everyStep) return activation(graph, graph.node("Add", [time, prompt]), "silu");
  const sums = graph.node("Add", [graph.node("Unsqueeze", [time, graph.ints(1)]), prompt]);
  return activation(graph, graph.node("Reshape", [sums, graph.ints(-1, features)]), "silu");
}
