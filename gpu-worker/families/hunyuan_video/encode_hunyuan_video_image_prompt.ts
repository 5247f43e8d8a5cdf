// Encodes prompts for HunyuanVideo from an image: LLaVA's states of the image and of the prompt inside a
// template, and CLIP's pooled output (HunyuanVideoImageToVideoPipeline.encode_prompt).
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { decodeForVision } from "../../media/decode_frame.ts";
import type { ClipPixelsOptions } from "../../media/clip_pixels.ts";
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { badField } from "../../request/bad_field.ts";
import { encodeIds, encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { leastCut } from "../../text/text_cut.ts";
import type { Tokenizer } from "../../text/tokenizer/tokenizer.ts";
import { CLIP_TOKENS } from "./encode_hunyuan_video_prompt.ts";
import { type HunyuanVideoImageCheckpoint, PICTURE_TOKENS } from "./hunyuan_video_image_checkpoint.ts";

const IMAGE = "<image>";
/** Ends a role's name in the template: the role's text follows. */
const END_OF_ROLE = "<|end_header_id|>";
/** The template that the network was trained with, word for word. */
const BEFORE_PROMPT = `<|start_header_id|>system${END_OF_ROLE}\n\n${IMAGE}\n` +
  "Describe the video by detailing the following aspects according to the reference image: " +
  "1. The main content and theme of the video." +
  "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects." +
  "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects." +
  "4. background environment, light, style and atmosphere." +
  "5. camera angles, movements, and transitions used in the video:<|eot_id|>\n\n" +
  `<|start_header_id|>user${END_OF_ROLE}\n\n`;
const AFTER_PROMPT = `<|eot_id|><|start_header_id|>assistant${END_OF_ROLE}\n\n`;
/** Number of tokens of BEFORE_PROMPT in LLaMA 3's tokenizer; their states are dropped. */
const CROP_START = 103;
/** Place of the image in them. */
const IMAGE_AT = 5;
/** Tokens behind the prompt, up to END_OF_ROLE, that are dropped. */
const ROLE_TOKENS = 4;
/** Every nth of the image's states is taken. diffusers takes a branch of guidance as below. */
const INTERLEAVE = { latent_concat: 2, token_replace: 4 } as const;
const BLACK_INTERLEAVE = 2;

/**
 * Encodes a prompt about the first frame, without padding. Without a frame, as in a negative prompt, the
 * image is black.
 * @throws {OptionError} if the prompt holds the token of a picture.
 * @throws {CheckpointError} if the tokenizer is not LLaVA's.
 */
export async function encodeHunyuanVideoImagePrompt(
  { text, maxSequenceLength, firstFrame, signal }: PromptToEncode,
  { runtime, encoders: { llama, clip }, vision, reading }: LoadedText<HunyuanVideoImageCheckpoint>,
): Promise<EncodedPrompt> {
  const { llava, config } = reading;
  if (text.includes(IMAGE)) {
    throw badField("prompt", `must not contain ${IMAGE}, which stands for the first frame`);
  }
  const { ids, kept, dropped } = await tokensOf(text, {
    tokenizer: llama.tokenizer,
    maxLength: CROP_START + maxSequenceLength,
    imageToken: llava.imageToken,
  });
  const side = llava.vision.image_size;
  const pixels = firstFrame
    ? await decodeForVision(firstFrame.file!.bytes, { field: "input_reference", vision: reading.vision })
    : blackPixels(reading.vision, side);
  using input = runtime.tensor("float32", [1, 3, side, side], pixels);
  const { image_features } = await vision!.run({ pixel_values: input }, signal && { signal });
  using features = image_features!;
  const { hidden_state } = await encodeIds(llama, {
    runtime,
    signal,
    ids,
    attentionMask: ids.map(() => 1),
    inputs: {
      image_features: {
        dtype: "float32",
        dims: [PICTURE_TOKENS, config.textEmbedDim],
        data: await features.as("float32").toArray(),
      },
      feature_indices: { dtype: "int64", dims: [ids.length], data: featureIndices(ids.length) },
    },
  });
  const pooled = await encodeText(clip, { runtime, signal, text, maxLength: CLIP_TOKENS });
  const interleave = firstFrame ? INTERLEAVE[config.imageCondition!] : BLACK_INTERLEAVE;
  const ofImage = Array.from(
    { length: Math.ceil(PICTURE_TOKENS / interleave) },
    (_, i) => IMAGE_AT + i * interleave,
  );
  const rows = [...ofImage, ...kept];
  const width = config.textEmbedDim;
  const embeds = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    embeds.set(hidden_state!.subarray(row * width, (row + 1) * width), i * width);
  }
  return {
    tokens: rows.length,
    embeds,
    pooled: pooled.outputs["pooled_output"]!,
    cut: leastCut({ dropped, limit: maxSequenceLength }, pooled.cut),
  };
}

interface TemplateTokens {
  /** The ids of the template and the prompt, in which the image has all of its tokens. */
  ids: number[];
  /** Places of the tokens whose states the network reads beside the image's. */
  kept: number[];
  /** Number of the prompt's tokens whose states are not read. */
  dropped: number;
}

async function tokensOf(
  text: string,
  { tokenizer, maxLength, imageToken }: { tokenizer: Tokenizer; maxLength: number; imageToken: number },
): Promise<TemplateTokens> {
  const [endOfRole, ...more] = await tokenizer.textIds(END_OF_ROLE);
  const encoded = await tokenizer.encode(`${BEFORE_PROMPT}${text}${AFTER_PROMPT}`, { maxLength });
  const ids = encoded.ids.filter((_, i) => encoded.attentionMask[i] === 1);
  const roleEnds = [...ids.keys()].filter((i) => ids[i] === endOfRole);
  if (
    more.length > 0 || ids.indexOf(imageToken) !== IMAGE_AT || ids.lastIndexOf(imageToken) !== IMAGE_AT ||
    roleEnds.length < 2 || ids.length <= CROP_START
  ) {
    throw new CheckpointError(
      `Cannot encode a prompt as the tokenizer must be LLaVA's on LLaMA 3: ${IMAGE} must be token ` +
        `${IMAGE_AT} of the template, ${END_OF_ROLE} one token, and the template longer than ${CROP_START}`,
    );
  }
  // Of a prompt that is too long, diffusers drops the last tokens in place of the role's that were cut off.
  const roleEnd = roleEnds.length === 2 ? ids.length - 1 : roleEnds.at(-1)!;
  const places = [...ids.keys()].filter((i) =>
    i >= CROP_START && (i <= roleEnd - ROLE_TOKENS || i > roleEnd)
  );
  const further = PICTURE_TOKENS - 1;
  return {
    ids: [
      ...ids.slice(0, IMAGE_AT),
      ...Array<number>(PICTURE_TOKENS).fill(imageToken),
      ...ids.slice(IMAGE_AT + 1),
    ],
    kept: places.map((place) => place + further),
    // The first token that is cut off is a line break behind the role.
    dropped: Math.max(0, encoded.dropped - 1),
  };
}

/** Returns for each token 0 or, from 1, the image's feature in its place. */
function featureIndices(tokens: number): BigInt64Array<ArrayBuffer> {
  return BigInt64Array.from({ length: tokens }, (_, i) => {
    const at = i - IMAGE_AT;
    return BigInt(at >= 0 && at < PICTURE_TOKENS ? at + 1 : 0);
  });
}

/** Returns a black image as the vision tower takes it. */
function blackPixels({ mean, std }: ClipPixelsOptions, side: number): Float32Array<ArrayBuffer> {
  const pixels = new Float32Array(3 * side * side);
  for (let colour = 0; colour < 3; colour++) {
    const value = -Math.fround(mean[colour]!) / Math.fround(std[colour]!);
    pixels.fill(value, colour * side ** 2, (colour + 1) * side ** 2);
  }
  return pixels;
}
