// Encodes prompts and references for Qwen-Image-Edit: Qwen2.5-VL's last states inside a template
// (QwenImageEditPipeline.encode_prompt and QwenImageEditPlusPipeline.encode_prompt).
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { decodeReference } from "../../media/decode_reference.ts";
import { type Pixels, resample } from "../../media/resample.ts";
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { sizeOfArea } from "../../text/qwen_vision/reference_sizes.ts";
import { badField } from "../../request/bad_field.ts";
import type { ReferenceImage } from "../../request/references.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { encodeConversation, IMAGE_PAD } from "../../text/qwen_vision/encode_conversation.ts";
import { encodeImages } from "../../text/qwen_vision/encode_images.ts";
import { seenImages } from "../../text/qwen_vision/seen_images.ts";
import type { EditPipeline, QwenImageEditCheckpoint } from "./qwen_image_edit_checkpoint.ts";

/** The template that the network was trained with, word for word. */
const SYSTEM = "<|im_start|>system\n" +
  "Describe the key features of the input image (color, shape, size, texture, objects, background), " +
  "then explain how the user's text instruction should alter or modify the image. " +
  "Generate a new image that meets the user's requirements " +
  "while maintaining consistency with the original input where appropriate." +
  "<|im_end|>\n";
const BEFORE_PROMPT = "<|im_start|>user\n";
const AFTER_PROMPT = "<|im_end|>\n<|im_start|>assistant\n";
/** Number of tokens of AFTER_PROMPT. */
const AFTER_TOKENS = 5;
/** Number of tokens of SYSTEM and BEFORE_PROMPT in Qwen's tokenizer; their states are dropped. */
const CROP_START = 64;
const PICTURE = `<|vision_start|>${IMAGE_PAD}<|vision_end|>`;

/**
 * Encodes a prompt about references, without padding.
 * @throws {OptionError} if the prompt holds the token of a picture.
 */
export async function encodeQwenImageEditPrompt(
  { text, maxSequenceLength, references = [], signal }: PromptToEncode,
  { runtime, encoders: { qwen }, vision: session, reading }: LoadedText<QwenImageEditCheckpoint>,
): Promise<EncodedPrompt> {
  const { config, edit, inputs, vision, processor } = reading;
  if (text.includes(IMAGE_PAD)) {
    throw badField("prompt", `must not contain ${IMAGE_PAD}, which stands for a reference`);
  }
  const images = await seenImages(session!, references, async () => {
    const pictures: Pixels[] = [];
    for (const reference of references) pictures.push(await conditionPicture(reference, edit));
    return await encodeImages({ session: session!, config: vision, processor }, pictures, {
      runtime,
      signal,
    });
  });
  const { states, cut } = await encodeConversation(qwen, {
    runtime,
    signal,
    before: `${SYSTEM}${BEFORE_PROMPT}${picturesText(references.length, edit)}`,
    text,
    after: AFTER_PROMPT,
    maxTokens: maxSequenceLength,
    images,
    imageToken: inputs.imageToken,
  });
  const features = config.jointAttentionDim;
  const embeds = states.slice(CROP_START * features);
  if (embeds.length === 0) {
    const tokens = states.length / features;
    throw new CheckpointError(
      `Cannot encode a prompt as its template must have more than ${CROP_START} tokens: ` +
        `the checkpoint's tokenizer gives ${tokens}`,
    );
  }
  return {
    tokens: embeds.length / features,
    embeds,
    pooled: new Float32Array(),
    // The template's end is cut off first.
    cut: { dropped: Math.max(0, cut.dropped - AFTER_TOKENS), limit: maxSequenceLength },
  };
}

/** Returns the text that stands for the references. */
function picturesText(count: number, { numbered }: EditPipeline): string {
  return Array.from({ length: count }, (_, i) => numbered ? `Picture ${i + 1}: ${PICTURE}` : PICTURE).join(
    "",
  );
}

async function conditionPicture(reference: ReferenceImage, { conditionArea }: EditPipeline): Promise<Pixels> {
  const size = sizeOfArea(reference, conditionArea);
  return await resample(await decodeReference(reference), { ...size, filter: "lanczos" });
}
