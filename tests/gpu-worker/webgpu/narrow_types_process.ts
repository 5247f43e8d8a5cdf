// Opens checkpoints in narrow types on WebGPU, and prints by how much their latents differ from the CPU's in
// float32. float16_slow_test.ts runs it: a process opens one device for good.
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { goldenPath, maxError } from "../../goldens/golden.ts";
import { generateReference, referenceCalls } from "../pipeline/reference_call.ts";
import { recordPlacement } from "./record_placement.ts";

export interface NarrowRow {
  checkpoint: string;
  /** Type of the weights in the files. */
  stored: "F16" | "BF16";
  /** Type that was asked for. */
  dtype: "float16" | "float32";
  /** Largest error relative to the largest latent. */
  error: number;
  /** The worker's messages about the type. */
  notes: string[];
  /** Nodes left to the CPU. */
  left: string[];
}

/** Tiny checkpoints in the types of published ones. FLUX.2's has guidance, and norms by the conditioning. */
const CHECKPOINTS = [
  { checkpoint: "flux2/tiny-base", stored: "BF16" },
  { checkpoint: "sdxl/tiny-sdxl", stored: "F16" },
  { checkpoint: "wan/tiny-euler", stored: "BF16" },
] as const;

if (import.meta.main) console.log(JSON.stringify(await compare()));

async function compare(): Promise<NarrowRow[]> {
  const rows: NarrowRow[] = [];
  // The device lives on, and with it the shaders that the next pipeline shares.
  using _runtime = Runtime.open({ provider: "webgpu" });
  using placement = recordPlacement();
  for (const { checkpoint, stored } of CHECKPOINTS) {
    const call = referenceCalls(checkpoint)[0]![1];
    using reference = await openPipeline(goldenPath(checkpoint));
    const { latents: expected } = await generateReference(reference, call);
    for (const dtype of ["float16", "float32"] as const) {
      const notes: string[] = [];
      const options = { provider: "webgpu", dtype, warn: (note: string) => notes.push(note) } as const;
      using pipeline = await openPipeline(goldenPath(checkpoint), options);
      const { latents } = await generateReference(pipeline, call);
      const error = maxError(latents.data, expected.data);
      rows.push({ checkpoint, stored, dtype, error, notes, left: await placement.left() });
    }
  }
  return rows;
}
