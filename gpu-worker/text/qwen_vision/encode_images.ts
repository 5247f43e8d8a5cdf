// Runs Qwen2.5-VL's or Qwen3-VL's vision tower: from pixels to what the text encoder sees.
import type { QwenVisionConfig } from "../../graph/vision_encoders/qwen_vision_config.ts";
import type { ImageSize } from "../../media/decoded_image.ts";
import type { Pixels } from "../../media/resample.ts";
import { joinArrays } from "../../runtime/join_arrays.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { GraphSession } from "../../session/session_loader.ts";
import { hostTensor } from "../host_tensor.ts";
import { imagePatches, type ImageProcessorConfig } from "./image_processor.ts";
import { visionInputs } from "./vision_inputs.ts";

/** A vision tower on the device. */
export interface LoadedVision {
  session: GraphSession;
  config: QwenVisionConfig;
  processor: ImageProcessorConfig;
}

/** Pictures as the text encoder takes them. */
export interface ImageFeatures {
  /** The tokens of all pictures, [tokens, width]. */
  data: Float32Array<ArrayBuffer>;
  width: number;
  /** Rows and columns of each picture's tokens. */
  grids: readonly ImageSize[];
}

export interface EncodeImagesOptions {
  runtime: Runtime;
  signal?: AbortSignal | undefined;
}

/** Runs the vision tower on each picture. */
export async function encodeImages(
  { session, config, processor }: LoadedVision,
  images: readonly Pixels[],
  { runtime, signal }: EncodeImagesOptions,
): Promise<ImageFeatures> {
  const width = config.outHiddenSize * (1 + (config.deepstack?.blocks.length ?? 0));
  const parts: Float32Array[] = [];
  const grids: ImageSize[] = [];
  for (const image of images) {
    const { pixels, grid } = await imagePatches(image, { processor, vision: config });
    const patches = grid.width * grid.height;
    using stack = new DisposableStack();
    const inputs = {
      ...visionInputs(grid, config),
      pixel_values: { dtype: "float32", dims: [patches, pixels.length / patches], data: pixels } as const,
    };
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, tensor]) => [name, stack.use(hostTensor(runtime, tensor))]),
    );
    const { image_features } = await session.run(feeds, signal && { signal });
    using features = image_features!;
    parts.push(await features.as("float32").toArray());
    grids.push({ width: grid.width / config.mergeSize, height: grid.height / config.mergeSize });
  }
  return { data: joinArrays(parts), width, grids };
}
