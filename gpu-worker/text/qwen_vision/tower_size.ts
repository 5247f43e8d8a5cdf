// How much memory a picture takes in Qwen's vision towers.
import type { QwenVisionConfig } from "../../graph/vision_encoders/qwen_vision_config.ts";
import type { ImageSize } from "../../media/decoded_image.ts";
import { type ImageProcessorConfig, smartResize } from "./image_processor.ts";

export interface TowerSize {
  /** Elements of the states of all patches. */
  elements: number;
  /** Tokens of the text that stand for the picture. */
  tokens: number;
}

/**
 * Counts the elements and tokens that an image becomes in the vision tower.
 * @param image as the image processor gets it
 */
export function towerSize(
  image: ImageSize,
  { processor, vision: { patchSize, mergeSize, hiddenSize } }: {
    processor: ImageProcessorConfig;
    vision: QwenVisionConfig;
  },
): TowerSize {
  const { width, height } = smartResize(image, { ...processor, factor: patchSize * mergeSize });
  const patches = width * height / patchSize ** 2;
  return { elements: patches * hiddenSize, tokens: patches / mergeSize ** 2 };
}
