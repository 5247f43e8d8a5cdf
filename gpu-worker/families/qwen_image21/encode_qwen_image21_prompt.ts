// Encodes prompts and references for Qwen-Image-2.1: Qwen3-VL's states after its last layer, inside a
// template (QwenImage21Pipeline.encode_prompt).
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { layOnWhite } from "../../media/transparent_pixels.ts";
import type { Pixels } from "../../media/resample.ts";
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { badField } from "../../request/bad_field.ts";
import type { ReferenceImage } from "../../request/references.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { encodeConversation, IMAGE_PAD } from "../../text/qwen_vision/encode_conversation.ts";
import { encodeImages, type ImageFeatures } from "../../text/qwen_vision/encode_images.ts";
import { seenImages } from "../../text/qwen_vision/seen_images.ts";
import type { QwenImage21Checkpoint } from "./qwen_image21_checkpoint.ts";
import type { Sight } from "./read_sight.ts";
import { referencePixels } from "./reference_pixels.ts";

/**
 * The template that the network was trained with, word for word. The states of its first message are dropped.
 */
const SYSTEM = "<|im_start|>system\nComprehend and analyze the provided prompt.<|im_end|>\n";
const BEFORE_PROMPT = "<|im_start|>user\n";
const AFTER_PROMPT = "<|im_end|>\n<|im_start|>assistant\n";
/** Number of tokens of AFTER_PROMPT. */
const AFTER_TOKENS = 5;
/** More tokens than SYSTEM has bytes. */
const SYSTEM_ROOM = 128;

type Loaded = LoadedText<QwenImage21Checkpoint>;

/**
 * Encodes a prompt without padding. A prompt that is too long is cut together with the template's end.
 * @throws {OptionError} if the prompt holds the token of a picture.
 */
export async function encodeQwenImage21Prompt(
  prompt: PromptToEncode,
  loaded: Loaded,
): Promise<EncodedPrompt> {
  const { maxSequenceLength } = prompt;
  const { encoders: { qwen }, reading: { config: { contextInDim: features }, sight } } = loaded;
  const system = await qwen.tokenizer.encode(SYSTEM, { maxLength: SYSTEM_ROOM });
  const dropped = system.attentionMask.reduce((sum, isToken) => sum + isToken, 0);
  const { states, cut, referencePlaces } = sight
    ? await encodeSeeing(prompt, { ...loaded, sight, dropped })
    : await encodeBlind(prompt, { ...loaded, dropped });
  const embeds = states.slice(dropped * features);
  return {
    tokens: embeds.length / features,
    embeds,
    pooled: new Float32Array(),
    ...referencePlaces && { referencePlaces },
    // The template's end is cut off first.
    cut: { dropped: Math.max(0, cut.dropped - AFTER_TOKENS), limit: maxSequenceLength },
  };
}

interface Encoding extends Pick<EncodedPrompt, "referencePlaces"> {
  /** The states of the text, [tokens, features], the first message among them. */
  states: Float32Array;
  cut: { dropped: number };
}

/** Like diffusers: an empty prompt is a space. */
function inTemplate(text: string): string {
  return text === "" ? " " : text;
}

async function encodeBlind(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { qwen }, dropped }: Loaded & { dropped: number },
): Promise<Encoding> {
  const { outputs: { hidden_state }, cut } = await encodeText(qwen, {
    runtime,
    signal,
    text: `${SYSTEM}${BEFORE_PROMPT}${inTemplate(text)}${AFTER_PROMPT}`,
    maxLength: dropped + maxSequenceLength,
    withoutPadding: true,
  });
  return { states: hidden_state!, cut };
}

async function encodeSeeing(
  { text, maxSequenceLength, references = [], signal }: PromptToEncode,
  { runtime, encoders: { qwen }, vision, reading, sight, dropped }: Loaded & {
    sight: Sight;
    dropped: number;
  },
): Promise<Encoding> {
  const { inputs: { imageToken } } = sight;
  if (text.includes(IMAGE_PAD)) {
    throw badField("prompt", `must not contain ${IMAGE_PAD}, which stands for a reference`);
  }
  const images = references.length === 0
    ? noImages(sight)
    : await seenImages(vision!, references, async () => {
      const pictures: Pixels[] = [];
      for (const reference of references) pictures.push(layOnWhite(await referencePixels(reference, sight)));
      const tower = { session: vision!, config: sight.vision, processor: sight.processor };
      const seen = await encodeImages(tower, pictures, { runtime, signal });
      assertWhole(seen, { pictures, sight });
      return seen;
    });
  const { states, ids, cut } = await encodeConversation(qwen, {
    runtime,
    signal,
    before: `${SYSTEM}${BEFORE_PROMPT}${picturesText(references)}`,
    text: inTemplate(text),
    after: AFTER_PROMPT,
    // The first message does not count, and neither do pictures.
    maxTokens: maxSequenceLength,
    images,
    imageToken,
  });
  const { config: { contextInDim: features } } = reading;
  const isText = ids.map((id) => id !== imageToken);
  return {
    states: rowsOf(states, { isKept: isText, features }),
    referencePlaces: placesOf(isText, images).map((place) => place - dropped),
    cut,
  };
}

/** Returns the text that stands for the references. */
function picturesText(references: readonly ReferenceImage[]): string {
  return references.map((_, i) => `<image${i + 1}><|vision_start|>${IMAGE_PAD}<|vision_end|>`).join(" ");
}

/** A row that no token reads: not every device takes an empty tensor. */
function noImages({ vision: { outHiddenSize, deepstack } }: Sight): ImageFeatures {
  const width = outHiddenSize * (1 + (deepstack?.blocks.length ?? 0));
  return { data: new Float32Array(width), width, grids: [] };
}

/** @throws {CheckpointError} if the image processor has resized a picture that the network sees whole. */
function assertWhole(
  { grids }: ImageFeatures,
  { pictures, sight: { vision } }: { pictures: readonly Pixels[]; sight: Sight },
): void {
  const token = vision.patchSize * vision.mergeSize;
  for (const [i, { width, height }] of pictures.entries()) {
    const grid = grids[i]!;
    if (grid.width * token === width && grid.height * token === height) continue;
    throw new CheckpointError(
      `Cannot look at an image as the checkpoint's image processor must keep ${width}x${height} pixels: ` +
        `it makes them ${grid.width * token}x${grid.height * token}`,
    );
  }
}

/** Returns the number of the text's tokens before each picture. */
function placesOf(isText: readonly boolean[], { grids }: ImageFeatures): number[] {
  const places: number[] = [];
  let [at, texts] = [0, 0];
  for (const { width, height } of grids) {
    while (isText[at]) {
      at++;
      texts++;
    }
    places.push(texts);
    at += width * height;
  }
  return places;
}

function rowsOf(
  states: Float32Array,
  { isKept, features }: { isKept: readonly boolean[]; features: number },
): Float32Array {
  const rows = new Float32Array(isKept.filter((kept) => kept).length * features);
  let at = 0;
  for (const [row, kept] of isKept.entries()) {
    if (!kept) continue;
    rows.set(states.subarray(row * features, (row + 1) * features), at);
    at += features;
  }
  return rows;
}
