// Settings that were published for a model and that nothing in its files tells: by its name on the hub, so that the
// name alone gives them (docs/decisions/0013-settings-by-name.md). What it computes never depends on a name.
import type { Checkpoint } from "./checkpoint.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";

/** Adversarially distilled: guidance is in the weights, one step is enough, 512 pixels is what it was trained for. */
const TURBO = { steps: 1, guidanceScale: 0, width: 512, height: 512 };

/** Where a model's own card differs from what its pipeline class does by default. */
const PUBLISHED: Readonly<Record<string, Partial<RequestDefaults>>> = {
  "stabilityai/sd-turbo": TURBO,
  "stabilityai/sdxl-turbo": TURBO,
  "stabilityai/stable-diffusion-3-medium-diffusers": { steps: 28 },
  "stabilityai/stable-diffusion-3.5-medium": { steps: 40, guidanceScale: 4.5 },
  "stabilityai/stable-diffusion-3.5-large-turbo": { steps: 4, guidanceScale: 0 },
};

/** Nothing for a model that is not in the list. */
export function publishedSettings(checkpoint: Checkpoint): Partial<RequestDefaults> {
  const name = hubName(checkpoint)?.toLowerCase() ?? "";
  return Object.hasOwn(PUBLISHED, name) ? PUBLISHED[name]! : {};
}

/** ORG/NAME that it was pulled from or, saved again elsewhere, that diffusers says it was loaded from. */
function hubName(checkpoint: Checkpoint): string | undefined {
  const [, organization, name] = /[/\\]models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\]/
    .exec(checkpoint.folder) ?? [];
  if (organization !== undefined) return `${organization}/${name}`;
  const { _name_or_path: origin } = checkpoint.json("model_index.json");
  return typeof origin === "string" ? origin : undefined;
}
