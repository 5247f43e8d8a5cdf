// A LoRA for models/emoji: random, and strong enough to be seen.
import { encodeSafetensors } from "../../gpu-worker/media/encode_safetensors.ts";
import { TorchGenerator } from "../../sampler/mod.ts";

/** Width of models/emoji's transformer. */
const FEATURES = 128;
const RANK = 4;

/** The bytes of a .safetensors file in peft's naming. */
export function randomLora(): Uint8Array<ArrayBuffer> {
  const generator = new TorchGenerator(7);
  const matrix = (name: string, dims: [number, number]) => ({
    name: `transformer.transformer_blocks.0.attn.to_v.${name}.weight`,
    dims,
    data: generator.randn(dims[0] * dims[1]).map((value) => value * 0.3),
  });
  return encodeSafetensors([matrix("lora_A", [RANK, FEATURES]), matrix("lora_B", [FEATURES, RANK])]);
}
