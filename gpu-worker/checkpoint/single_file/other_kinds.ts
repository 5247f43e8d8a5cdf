// Says what a file is that is not a model we can run.
import type { Weights } from "../weights.ts";
import type { Architecture, Part } from "./architecture.ts";

/** A pattern of tensor names, and what a file with such names is. Earlier entries are tried first. */
const KINDS: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [
    /(?:^|[._])lora_(?:A|B|up|down|te\d?|unet|transformer)(?:[._]|$)|\.lora\.(?:up|down)\./,
    "it is a LoRA: give it as --lora FILE beside a model",
  ],
  [/\.(?:hada_w1_a|lokr_w1|oft_diag)$/, "it is a LyCORIS adapter, which is not supported"],
  [
    /^control_model\.|^controlnet_|^input_hint_block\.|^control_(?:layers|all_x_embedder)/,
    "it is a ControlNet, which is not supported",
  ],
  [/\.motion_modules\.|^motion_/, "it is a motion module of AnimateDiff, which is not supported"],
  [/^emb_params$|^string_to_param/, "it is a textual inversion, which is not supported"],
  [/(?:^|\.)early_stream_modulations\./, "it is FLUX.3, which is not supported"],
  [/(?:^|\.)cap_embedder\./, "it is Lumina 2, which is not supported"],
  [/(?:^|\.)double_layers\.0\.attn\.w1q\./, "it is AuraFlow, which is not supported"],
  [/(?:^|\.)patchify_proj\./, "it is LTX-Video, which is not supported"],
  [/(?:^|\.)blocks\.0\.attn\.qkv_x\./, "it is Mochi, which is not supported"],
  [/(?:^|\.)double_stream_blocks\./, "it is HiDream, which is not supported"],
  [/^clip_txt_mapper\.|\.channelwise\./, "it is Stable Cascade, which is not supported"],
  [/^net\.blocks\./, "it is Cosmos, which is not supported"],
  [/^conditioner\.embedders\.0\.model\./, "it is SDXL's refiner without its UNet, which is not supported"],
];

/** Returns a clause: what the file is, as far as its tensors tell. */
export function otherKind(tensors: Weights, architectures: readonly Architecture[]): string {
  const names = [...tensors.keys()];
  if (names.length === 0) return "it holds no tensors";
  const [, kind] = KINDS.find(([pattern]) => names.some((name) => pattern.test(name))) ?? [];
  if (kind !== undefined) return kind;
  const part = architectures.flatMap(({ parts }) => parts).find((part) => isPart(tensors, part));
  if (part !== undefined) {
    const flag = part.component === "vae"
      ? "--vae FILE"
      : "--text-encoder FILE (or -2, -3, by the model's own count)";
    return `it holds a network of class ${part.className} alone: give it as ${flag} beside a model`;
  }
  const classes = new Set(architectures.map(({ pipelineClass }) => pipelineClass.replace(/Pipeline$/, "")));
  const known = [...classes].join(", ");
  return `its tensors are of none of the models that are supported: ${known}`;
}

function isPart(tensors: Weights, { layouts }: Part): boolean {
  return layouts.some((layout) => layout.prefixes.includes("") && layout.matches(tensors));
}
