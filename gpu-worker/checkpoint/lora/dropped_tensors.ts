// Selects the tensors of LoRA files that diffusers silently ignores: duplicates of other layers, or changes
// of norms. We ignore the same tensors and report them.

/** A rule that says which tensors are ignored, and why. */
interface DropRule {
  /** Applies the rule only to files with a name that matches. @default all files */
  where?: (key: string) => boolean;
  drops: (key: string) => boolean;
  reason: string;
}

const EVERYWHERE: readonly DropRule[] = [
  { drops: (key) => key.includes("dora_scale"), reason: "scales of DoRA" },
];

const isKohya = (key: string) => key.includes(".lora_down.weight") || key.includes(".lora_up.weight");
const isPeft = (key: string) => key.startsWith("transformer.");
const isMixed = (key: string) => key.startsWith("lora_transformer_");

const FLUX: readonly DropRule[] = [
  { where: isPeft, drops: (key) => !isPeft(key), reason: "the same layers once more, in other names" },
  { drops: (key) => isPeft(key) && key.endsWith(".alpha"), reason: "alphas beside diffusers' names" },
  {
    where: isMixed,
    drops: (key) => key.startsWith("lora_unet_"),
    reason: "the same layers once more, in other names",
  },
  { drops: (key) => key.includes("position_embedding"), reason: "changes of position embeddings" },
  { drops: (key) => key.startsWith("text_encoders.t5xxl.transformer."), reason: "changes of T5" },
  { drops: (key) => key.includes(".diff_b"), reason: "changes of biases" },
  {
    // diffusers then drops every key that has either.
    where: (key) => key.includes(".norm") && key.includes(".diff"),
    drops: (key) => key.includes(".norm") || key.includes(".diff"),
    reason: "changes of norms",
  },
  { drops: (key) => key.includes("text_projection"), reason: "changes of the text projection" },
];

/** diffusers picks a file's tensors by this word, but reads norms for its control LoRAs. */
const isOther = (key: string) => isPeft(key) && !/lora|alpha|\.norm_(?:added_)?[qk]\./.test(key);
const FLUX_PEFT: readonly DropRule[] = [
  {
    where: (key) => isPeft(key) && key.includes("lora"),
    drops: isOther,
    reason: "tensors that are no part of a LoRA",
  },
];

const isSgm = (key: string) => /input_blocks|middle_block|output_blocks/.test(key);
const UNET: readonly DropRule[] = [
  {
    where: (key) => !isSgm(key) && /down_blocks|mid_block|up_blocks/.test(key),
    drops: isSgm,
    reason: "the same layers once more, in other names",
  },
];

const isSplit = (key: string) => /\.to[._]q\.lora\.down\.weight$/.test(key);
const isFused = (key: string) => /\.(?:qkv|attention\.out)\.lora\.(?:down|up)\.weight$/.test(key);
const Z_IMAGE: readonly DropRule[] = [
  { where: isSplit, drops: isFused, reason: "the same layers once more, in other names" },
];

const isTimeProjection = (key: string) => key.startsWith("diffusion_model.time_projection");
const WAN: readonly DropRule[] = [
  { drops: (key) => /norm.*\.diff(?:_b)?$/s.test(key), reason: "changes of norms" },
  {
    drops: (key) => key.endsWith(".diff") && key !== "diffusion_model.head.head.diff",
    reason: "changes of whole tensors",
  },
  { drops: (key) => key === "diffusion_model.patch_embedding.diff_b", reason: "changes of whole tensors" },
];

/**
 * Returns the ignored tensors of a LoRA file, name -> reason.
 * @param keys names of the file's tensors
 * @param className class of the denoiser
 */
export function droppedTensors(keys: readonly string[], className: string | undefined): Map<string, string> {
  const rules = [...EVERYWHERE];
  if (className === "UNet2DConditionModel") rules.push(...UNET);
  // diffusers reads both with FLUX's loader.
  const isFlux = className === "FluxTransformer2DModel" || className === "ChromaTransformer2DModel";
  if (isFlux) rules.push(...keys.some(isKohya) ? FLUX : FLUX_PEFT);
  if (className === "ZImageTransformer2DModel") rules.push(...Z_IMAGE);
  if (className === "WanTransformer3DModel" && keys.some((key) => key.startsWith("diffusion_model."))) {
    rules.push(...WAN);
    const weighs = keys.some((key) => isTimeProjection(key) && key.endsWith(".weight"));
    if (!weighs) rules.push({ drops: isTimeProjection, reason: "a bias without its weight" });
  }
  const dropped = new Map<string, string>();
  for (const { where, drops, reason } of rules) {
    if (where !== undefined && !keys.some(where)) continue;
    for (const key of keys) if (drops(key) && !dropped.has(key)) dropped.set(key, reason);
  }
  return dropped;
}
