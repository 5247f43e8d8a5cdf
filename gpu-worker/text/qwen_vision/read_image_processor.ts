// Finds the options of a checkpoint's image processor, in the file of transformers 5 or of earlier versions.
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import type { QwenVisionConfig } from "../../graph/vision_encoders/qwen_vision_config.ts";
import { type ImageProcessorConfig, parseImageProcessorConfig } from "./image_processor.ts";

/**
 * Reads the image processor in `folder`.
 * @throws {CheckpointError} if there is none, or if it cannot be used.
 */
export function readImageProcessor(
  checkpoint: Checkpoint,
  { folder, vision }: { folder: string; vision: QwenVisionConfig },
): ImageProcessorConfig {
  const whole = checkpoint.has(folder, "processor_config.json")
    ? checkpoint.json(folder, "processor_config.json")["image_processor"]
    : undefined;
  const file = whole === undefined ? "preprocessor_config.json" : "processor_config.json";
  const json = whole ?? checkpoint.json(folder, file);
  return parseImageProcessorConfig(json, { path: `${folder}/${file}`, vision });
}
