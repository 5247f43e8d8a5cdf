// Image tokens of a denoiser: a transformer's patches, or a UNet's latent pixels.
import type { GenerateRequest } from "./generate_request.ts";
import type { RequestRules } from "./request_rules.ts";

/**
 * Counts the image tokens of one picture or video; text tokens
 * do not count. Sizes are always whole numbers of tokens.
 */
export function imageTokens(
  { width, height, numFrames }: Pick<GenerateRequest, "width" | "height" | "numFrames">,
  { sizeMultiple, video }: Pick<RequestRules, "sizeMultiple" | "video">,
): number {
  const frames = video === undefined ? 1 : (numFrames - 1) / video.frameStep + 1;
  return frames * (width / sizeMultiple) * (height / sizeMultiple);
}
