// The components of a checkpoint that a run loads.
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
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
  const named = (key: "matrices" | "tables") =>
    new Set(
      Object.values(graphs).flatMap((graph) =>
        graph[key].map((weight) => `${graph.name.replace(/_trunk$/, "")} ${weight}`)
      ),
    );
  const [inBlocks, tables] = [named("matrices"), named("tables")];
  const heldShapes = new Map<string, readonly number[]>(
    Object.values(graphs).flatMap(({ name, heldShapes }) =>
      [...heldShapes].map(([weight, shape]) => [`${name.replace(/_trunk$/, "")} ${weight}`, shape] as const)
    ),
  );
  const unloaded = VISION in graphs ? UNLOADED.filter((name) => name !== "image_encoder") : UNLOADED;
  return checkpoint.components().filter(({ name }) => !unloaded.includes(name)).map(({ name, weights }) => ({
    name,
    tables: new Set([...weights.keys()].filter((tensor) => tables.has(`${name} ${tensor}`))),
    weights: new Map(
      [...weights].map(([tensor, entry]) => {
        const { quantization: _quantization, ...stored } = entry;
        const key = `${name} ${tensor}`;
        return [tensor, inBlocks.has(key) ? entry : { ...stored, shape: heldShapes.get(key) ?? entry.shape }];
      }),
    ),
  }));
}
