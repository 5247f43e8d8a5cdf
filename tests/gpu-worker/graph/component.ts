// Config and weights of one component of a checkpoint, for the functions that build graphs.
import { openWeights, type Weights } from "../../../gpu-worker/checkpoint/weights.ts";
import { goldenPath } from "../../goldens/golden.ts";

export interface Component {
  config: Record<string, unknown>;
  weights: Weights;
}

/**
 * Opens a component folder, given relative to tests/goldens/: "flux/tiny-dev/vae", "../../models/emoji/vae".
 */
export function component(folder: string): Component {
  const path = goldenPath(folder);
  const config = JSON.parse(Deno.readTextFileSync(`${path}/config.json`));
  return {
    config,
    weights: openWeights(path, "_class_name" in config ? "diffusion_pytorch_model" : "model"),
  };
}
