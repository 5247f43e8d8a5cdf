// Final latents of every family on a device in each compute type, beside those of the CPU in float32.
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { type DType, type ProviderName, Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { goldenPath, maxError } from "../../goldens/golden.ts";
import { recordPlacement } from "../../gpu-worker/webgpu/record_placement.ts";
import { generateReference, referenceCalls } from "../../gpu-worker/pipeline/reference_call.ts";

export interface ParityTableOptions {
  provider: ProviderName;
  dtypes: readonly DType[];
  /** Number of checkpoints. @default all */
  count?: number | undefined;
  signal: AbortSignal;
}

/** One of each family and of each kind of network. */
const CHECKPOINTS = [
  "flux/tiny-dev",
  "wan/tiny-a14b",
  "chroma/tiny-hd",
  "flux2/tiny-base",
  "hunyuan_video/tiny-distilled",
  "qwen_image/tiny-image",
  "qwen_image21/tiny-21",
  "sd3/tiny-large",
  "sdxl/tiny-sdxl",
  "sdxl/tiny-sd15",
  "wan/tiny-ti2v",
  "wan/tiny-unipc",
  "z_image/tiny-base",
];

/**
 * Largest error relative to the largest latent, carried through all steps. float32 on CUDA multiplies in TF32
 * (10 bits); float16 has 11 bits, bfloat16 8. To be tightened by what a card measures.
 */
const TOLERANCE: Partial<Record<DType, number>> = { float32: 1e-2, float16: 3e-2, bfloat16: 1e-1 };

/** Prints the table. @returns what is beyond its tolerance */
export async function parityTable(
  { provider, dtypes, count, signal }: ParityTableOptions,
): Promise<string[]> {
  const problems: string[] = [];
  const rows: Record<string, unknown>[] = [];
  // The device lives on, and with it the kernels that the next pipeline shares.
  using owned = new DisposableStack();
  owned.use(Runtime.open({ provider }));
  using placement = recordPlacement();
  for (const folder of CHECKPOINTS.slice(0, count)) {
    const [id, call] = referenceCalls(folder)[0]!;
    using reference = await openPipeline(goldenPath(folder));
    const { latents: expected } = await generateReference(reference, call);
    const row: Record<string, unknown> = { checkpoint: folder, call: id };
    for (const dtype of dtypes) {
      signal.throwIfAborted();
      using pipeline = await openPipeline(goldenPath(folder), { provider, dtype });
      const { latents } = await generateReference(pipeline, call);
      for (const node of await placement.left()) {
        problems.push(`${folder} in ${dtype} leaves to the CPU: ${node}`);
      }
      const error = maxError(latents.data, expected.data);
      row[dtype] = Number(error.toPrecision(2));
      if (!(error <= TOLERANCE[dtype]!)) {
        problems.push(
          `${folder} in ${dtype} is off by ${error.toPrecision(2)}, ${TOLERANCE[dtype]} is allowed`,
        );
      }
    }
    rows.push(row);
  }
  console.log(`final latents on ${provider}, largest error relative to the CPU's in float32`);
  console.table(rows);
  return problems;
}
