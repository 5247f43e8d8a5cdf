// The components of a checkpoint that a run loads.
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { componentOf } from "../../graph/component_of.ts";
import type { ReadModel } from "../../model/read_model.ts";
import type { LoadedComponent } from "./predict_memory.ts";

/** Components that some checkpoints contain and no run loads. */
const UNLOADED = ["safety_checker", "image_encoder"];
/** The graph of an image encoder that runs do load. */
const VISION = "vision";

/**
 * Returns the components that a run loads, with the shapes that it holds. Only matrices that its layers hold
 * in blocks keep a quantization.
 */
export function loadedComponents(
  checkpoint: Checkpoint,
  graphs: ReadModel["graphs"],
): LoadedComponent[] {
  const unloaded = VISION in graphs ? UNLOADED.filter((name) => name !== "image_encoder") : UNLOADED;
  const graphsOf = Map.groupBy(Object.values(graphs), componentOf);
  return checkpoint.components().filter(({ name }) => !unloaded.includes(name)).map(({ name, weights }) => {
    const own = graphsOf.get(name) ?? [];
    const inBlocks = new Set(own.flatMap(({ matrices }) => matrices));
    const heldShapes = new Map(own.flatMap(({ heldShapes }) => [...heldShapes]));
    const held = [...weights].map(([tensor, entry]) => {
      if (inBlocks.has(tensor)) return [tensor, entry] as const;
      const { quantization: _quantization, ...stored } = entry;
      return [tensor, { ...stored, shape: heldShapes.get(tensor) ?? entry.shape }] as const;
    });
    return { name, tables: new Set(own.flatMap(({ tables }) => tables)), weights: new Map(held) };
  });
}
