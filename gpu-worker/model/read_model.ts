// Reads a checkpoint in full: its description, and its graphs, which check the weights against the configs.
import type { OnnxModel } from "../graph/graph_builder.ts";
import { type DescribedModel, describeModel, type DescribeModelOptions } from "./describe_model.ts";

export interface ReadModel extends DescribedModel {
  /** Every graph that a run may use. */
  graphs: Readonly<Record<string, OnnxModel>>;
}

/**
 * Describes `model` and builds its graphs; nothing is loaded on a device.
 * @throws {CheckpointError | RangeError} as `describeModel`, and if a config contradicts the weights.
 */
export function readModel(model: string, options: DescribeModelOptions = {}): ReadModel {
  const described = describeModel(model, options);
  return { ...described, graphs: described.reading.buildGraphs({ provider: described.provider }) };
}
