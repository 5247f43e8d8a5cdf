// diffusers' QwenImageEditPipeline and QwenImageEditPlusPipeline: Qwen-Image-Edit, and 2509 and 2511, which
// take several references.
import type { Family } from "../../pipeline/family.ts";
import { sizeOfArea } from "../../text/qwen_vision/reference_sizes.ts";
import { toPlanes } from "../../media/decode_image.ts";
import { decodeReference } from "../../media/decode_reference.ts";
import { resample } from "../../media/resample.ts";
import { encodeQwenImageEditPrompt } from "./encode_qwen_image_edit_prompt.ts";
import {
  EDIT,
  EDIT_PLUS,
  type EditPipeline,
  type QwenImageEditCheckpoint,
  readQwenImageEditCheckpoint,
} from "./qwen_image_edit_checkpoint.ts";
import { qwenImageFamily } from "./qwen_image_family.ts";

/** Returns the family of a pipeline class. */
export function qwenImageEdit(edit: EditPipeline): Family<QwenImageEditCheckpoint> {
  return {
    ...qwenImageFamily,
    read: (checkpoint, dtype) => readQwenImageEditCheckpoint(checkpoint, dtype, edit),
    encodePrompt: encodeQwenImageEditPrompt,
    promptsSeeReferences: true,
    async referencePicture(reference, { edit: { pictureArea } }) {
      const size = sizeOfArea(reference, pictureArea);
      const { data } = await resample(await decodeReference(reference), { ...size, filter: "lanczos" });
      return { ...size, data: toPlanes(data) };
    },
  };
}

export const qwenImageEditFamily: Family<QwenImageEditCheckpoint> = qwenImageEdit(EDIT);
export const qwenImageEditPlusFamily: Family<QwenImageEditCheckpoint> = qwenImageEdit(EDIT_PLUS);
