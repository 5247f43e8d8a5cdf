// Paths of AUTOMATIC1111's API that front ends call as they start, and that have nothing to say here.

/** Answered with an empty list. */
export const EMPTY_LISTS = [
  ...["upscalers", "latent-upscale-modes", "realesrgan-models", "sd-vae", "sd-modules", "hypernetworks"],
  ...["prompt-styles", "face-restorers", "script-info", "extensions"],
];

/** Workers tell what they serve, so there is nothing to read again; they hold their models in memory. */
export const REFRESHES = [
  ...["refresh-checkpoints", "refresh-loras", "refresh-vae", "refresh-embeddings"],
  ...["unload-checkpoint", "reload-checkpoint"],
];

/** Objects about the machine, which is not the worker's: A1111 writes them so where it cannot tell. */
export const MACHINE = {
  "cmd-flags": { api: true },
  memory: { ram: { error: "unavailable" }, cuda: { error: "unavailable" } },
} as const;
