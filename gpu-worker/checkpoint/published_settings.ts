// Published settings of models whose files do not contain them, by name on the hub
// (docs/decisions/0013-settings-by-name.md). Only defaults depend on a name, never the computation.
import type { Checkpoint } from "./checkpoint.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";

/**
 * Adversarially distilled models: guidance is in the weights, one step is enough, and
 * the training size is 512 pixels.
 */
const TURBO = { steps: 1, guidanceScale: 0, width: 512, height: 512 };

/** Wan2.2's experts of high and low noise. */
const WAN_A14B = { steps: 40, width: 1280, height: 720, guidanceScale: 4, guidanceScale2: 3 };

/** Settings in a model's own card that differ from its pipeline class's defaults. */
const PUBLISHED: Readonly<Record<string, Partial<RequestDefaults>>> = {
  "lodestones/chroma1-base": { steps: 40, guidanceScale: 3 },
  "lodestones/chroma1-hd": { steps: 40, guidanceScale: 3 },
  "qwen/qwen-image": { width: 1328, height: 1328 },
  "qwen/qwen-image-2512": { width: 1328, height: 1328 },
  "qwen/qwen-image-edit-2509": { steps: 40 },
  "qwen/qwen-image-edit-2511": { steps: 40 },
  "stabilityai/sd-turbo": TURBO,
  "stabilityai/sdxl-turbo": TURBO,
  "stabilityai/stable-diffusion-3-medium-diffusers": { steps: 28 },
  "stabilityai/stable-diffusion-3.5-medium": { steps: 40, guidanceScale: 4.5 },
  "stabilityai/stable-diffusion-3.5-large-turbo": { steps: 4, guidanceScale: 0 },
  "tongyi-mai/z-image": { steps: 50, guidanceScale: 4 },
  "tongyi-mai/z-image-turbo": { steps: 8, guidanceScale: 0 },
  "wan-ai/wan2.1-flf2v-14b-720p-diffusers": { width: 1280, height: 720 },
  "wan-ai/wan2.1-i2v-14b-720p-diffusers": { width: 1280, height: 720 },
  "wan-ai/wan2.2-i2v-a14b-diffusers": { ...WAN_A14B, guidanceScale: 3.5, guidanceScale2: 3.5 },
  "wan-ai/wan2.2-t2v-a14b-diffusers": WAN_A14B,
  "wan-ai/wan2.2-ti2v-5b-diffusers": { width: 1280, height: 704, numFrames: 121, fps: 24 },
};

/** Returns a model's published settings; {} for a model that is not in the list. */
export function publishedSettings(checkpoint: Checkpoint): Partial<RequestDefaults> {
  const name = hubName(checkpoint.folder, checkpoint.json("model_index.json"))?.toLowerCase() ?? "";
  return Object.hasOwn(PUBLISHED, name) ? PUBLISHED[name]! : {};
}

/**
 * Returns the ORG/NAME that a checkpoint was pulled from or, if it was saved again elsewhere, loaded from.
 * @param index its parsed model_index.json
 */
export function hubName(
  folder: string,
  { _name_or_path: origin }: Record<string, unknown>,
): string | undefined {
  const [, organization, name] = /[/\\]models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\]/.exec(folder) ?? [];
  if (organization !== undefined) return `${organization}/${name}`;
  return typeof origin === "string" ? origin : undefined;
}
