// Files with all networks of a pipeline, as ComfyUI saves them.
import { FolderSource } from "../../../../gpu-worker/checkpoint/checkpoint_source.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { type FileTensor, fileTensorOf, Twin } from "./twin.ts";

/** Name of a twin of the denoiser -> its folder, and ComfyUI's name of the encoder. */
export const WHOLE_FILES: Record<string, [golden: string, encoder: string]> = {
  "z-image": ["z_image/tiny-base", "qwen3_4b"],
  "flux2": ["flux2/tiny-base", "qwen3_8b"],
  "qwen-image": ["qwen_image/tiny-image", "qwen25_7b"],
  "qwen-image-2.1": ["qwen_image21/tiny-21", "qwen3vl_8b"],
  "hunyuan-video": ["hunyuan_video/tiny-distilled", "llama"],
  "wan": ["wan/tiny-unipc", "umt5xxl"],
  "chroma": ["chroma/tiny-hd", "t5xxl"],
};

/** A file with denoiser, autoencoder and encoder. */
export function wholeFile(name: string): Twin {
  const [golden, encoder] = WHOLE_FILES[name]!;
  return new Twin(name, (tensors) => {
    const denoiser = [...tensors];
    tensors.clear();
    for (const [key, tensor] of denoiser) {
      tensors.set(`model.diffusion_model.${key.replace(/^model\.diffusion_model\./, "")}`, tensor);
    }
    const source = new FolderSource(goldenPath(golden));
    const add = (component: string, prefix: string) => {
      for (const [key, entry] of source.weights(component)) tensors.set(prefix + key, fileTensorOf(entry));
    };
    add("vae", "vae.");
    add("text_encoder", `text_encoders.${encoder}.transformer.`);
    const mark: FileTensor = { dtype: "F32", shape: [], data: new Uint8Array(4) };
    tensors.set(`text_encoders.${encoder}.logit_scale`, mark);
    if (encoder === "umt5xxl") {
      tensors.set("text_encoders.spiece_model", { dtype: "U8", shape: [4], data: new Uint8Array(4) });
    }
  });
}
