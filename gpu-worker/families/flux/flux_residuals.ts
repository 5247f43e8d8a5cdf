// The inputs of FLUX's trunk to which a ControlNet adds.
import type { FluxBlocksHooks } from "../../graph/flux_blocks.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";

/** Which of the trunk's blocks have an input for a residual. */
export interface FluxResiduals {
  /** The blocks with two streams. */
  double: boolean;
  /** The blocks with one stream. */
  single: boolean;
}

type Kind = keyof FluxResiduals;

/** Returns the name of the trunk's input for block `index`. */
export function residualName(kind: Kind, index: number): string {
  return `residual_${kind}_${index}`;
}

/**
 * Adds an input after each block: [batch, image_tokens, inner] after those with two streams, [batch,
 * text_tokens + image_tokens, inner], zero for text, after those with one. [1, 1, 1] broadcasts.
 */
export function residualHooks(graph: GraphBuilder, { double, single }: FluxResiduals): FluxBlocksHooks {
  const add = (tokens: Value, kind: Kind, index: number) => {
    const name = residualName(kind, index);
    const free = ["batch", "tokens", "features"].map((axis) => `${name}_${axis}`);
    return graph.node("Add", [tokens, graph.input(name, free)]);
  };
  return {
    ...double && { afterDouble: (image, index) => add(image, "double", index) },
    ...single && { afterSingle: (joint, { index }) => add(joint, "single", index) },
  };
}

/**
 * Assigns the samples of a ControlNet to the blocks of a model as FluxTransformer2DModel does: each serves
 * as many neighbours as it takes to reach the last block.
 * @returns index of the sample for each block; none if there are no samples
 */
export function spreadSamples({ samples, blocks }: { samples: number; blocks: number }): number[] {
  if (samples === 0) return [];
  const interval = Math.ceil(blocks / samples);
  return Array.from({ length: blocks }, (_, block) => Math.floor(block / interval));
}
