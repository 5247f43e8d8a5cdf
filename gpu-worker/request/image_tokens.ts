// The tokens that a denoiser works on: patches of a transformer, latent pixels of a UNet.
import type { GenerateRequest } from "./generate_request.ts";
import type { RequestRules } from "./request_rules.ts";

/** Counts the tokens of one picture or video, without its prompt's. A size is a whole number of tokens. */
export function imageTokens(
  { width, height, numFrames }: Pick<GenerateRequest, "width" | "height" | "numFrames">,
  { sizeMultiple, video }: Pick<RequestRules, "sizeMultiple" | "video">,
): number {
  const frames = video === undefined ? 1 : (numFrames - 1) / video.frameStep + 1;
  return frames * (width / sizeMultiple) * (height / sizeMultiple);
}
