// Paths of AUTOMATIC1111's API that front ends call as they start, and that have nothing to say here.

/** Answered with an empty list. */
export const EMPTY_LISTS = [
  ...["upscalers", "latent-upscale-modes", "realesrgan-models", "sd-vae", "sd-modules", "hypernetworks"],
  ...["prompt-styles", "face-restorers", "script-info", "extensions"],
];

/** Workers tell what they serve, so there is nothing to read again. */
export const REFRESHES = ["refresh-checkpoints", "refresh-loras", "refresh-vae", "refresh-embeddings"];
