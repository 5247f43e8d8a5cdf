// What `usage` counts: the tokens that a denoiser works on.
import type { GenerateResult, Pipeline } from "../pipeline/pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";

/**
 * A size is a whole multiple of a transformer's patches and of a UNet's latent pixels, which have no tokens of another kind.
 * Videos have latents of [1, channels, frames, height, width].
 */
export function imageTokens(
  { latents: { dims } }: Pick<GenerateResult, "latents">,
  { request: { width, height }, rules: { sizeMultiple } }: {
    request: Pick<GenerateRequest, "width" | "height">;
    rules: Pick<Pipeline["rules"], "sizeMultiple">;
  },
): number {
  const frames = dims.length === 5 ? dims[2]! : 1;
  return frames * (width / sizeMultiple) * (height / sizeMultiple);
}
