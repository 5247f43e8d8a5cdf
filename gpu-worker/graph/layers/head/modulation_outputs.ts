// The modulation of a transformer's last norm as a graph's outputs. It depends only on timestep and prompt,
// so one run computes it for all steps of a picture.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { continuousModulation } from "../norm/continuous_layer_norm.ts";

/** Scale (1 added) and shift of a norm. */
export interface NormModulation {
  /** [rows, 1, features] */
  scale: Value;
  /** [rows, features] */
  shift: Value;
}

/**
 * Declares the outputs scale and shift of the AdaLayerNormContinuous called `name`, from the
 * conditioning [rows, features].
 */
export function modulationOutputs(
  graph: GraphBuilder,
  conditioning: Value,
  { name, features, bias = true }: { name: string; features: number; bias?: boolean },
): void {
  normModulationOutputs(graph, continuousModulation(graph, conditioning, { name, features, bias }), features);
}

/**
 * Declares the outputs scale and shift from a norm's shift and scale, [rows, 1, features] in the compute
 * type; 1 is not yet added to the scale.
 */
export function normModulationOutputs(
  graph: GraphBuilder,
  { shift, scale }: { shift: Value; scale: Value },
  features: number,
): void {
  graph.output("scale", graph.node("Add", [scale, graph.scalar(1)]), ["rows", 1, features]);
  graph.output("shift", graph.node("Reshape", [shift, graph.ints(0, features)]), ["rows", features]);
}

/** Declares scale and shift as inputs of the head. */
export function modulationInputs(graph: GraphBuilder, features: number): NormModulation {
  return {
    scale: graph.input("scale", ["rows", 1, features]),
    shift: graph.input("shift", ["rows", features]),
  };
}
