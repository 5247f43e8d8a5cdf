// Encodes text with pictures in it by Qwen2.5-VL or Qwen3-VL.
import type { Runtime } from "../../runtime/mod.ts";
import { encodeIds, type LoadedEncoder } from "../encode_text.ts";
import type { TextCut } from "../text_cut.ts";
import type { ImageFeatures } from "./encode_images.ts";
import { tokenPositions } from "./token_positions.ts";

/** The token that stands for a picture's tokens in a text. */
export const IMAGE_PAD = "<|image_pad|>";

export interface EncodeConversationOptions {
  runtime: Runtime;
  signal?: AbortSignal | undefined;
  /** The text before the prompt. It holds IMAGE_PAD once for each picture. */
  before: string;
  text: string;
  after: string;
  /** Longest text after `before` in tokens. */
  maxTokens: number;
  images: ImageFeatures;
  /** Id of IMAGE_PAD. */
  imageToken: number;
}

export interface EncodedConversation {
  /** The states of all tokens, [tokens, features]. */
  states: Float32Array;
  ids: readonly number[];
  cut: TextCut;
}

/** Encodes a text with pictures, without padding. A text that is too long loses its end. */
export async function encodeConversation(
  { session, tokenizer }: LoadedEncoder,
  options: EncodeConversationOptions,
): Promise<EncodedConversation> {
  const { before, text, after, maxTokens, images, imageToken, runtime, signal } = options;
  const grids = images.grids.values();
  const withTokens = before.replaceAll(IMAGE_PAD, () => {
    const { width, height } = grids.next().value!;
    return IMAGE_PAD.repeat(width * height);
  });
  // A token has at least one byte.
  const begin = await tokenizer.encode(withTokens, { maxLength: withTokens.length });
  const beginTokens = begin.attentionMask.reduce((sum, isToken) => sum + isToken, 0);
  const { ids: padded, attentionMask, dropped } = await tokenizer.encode(`${withTokens}${text}${after}`, {
    maxLength: beginTokens + maxTokens,
  });
  const ids = padded.filter((_, i) => attentionMask[i] === 1);
  const { positions, features } = tokenPositions({ ids, imageToken, images: images.grids });
  const { hidden_state } = await encodeIds({ session }, {
    runtime,
    signal,
    ids,
    attentionMask: ids.map(() => 1),
    inputs: {
      image_features: {
        dtype: "float32",
        dims: [images.data.length / images.width, images.width],
        data: images.data,
      },
      feature_indices: { dtype: "int64", dims: [ids.length], data: features },
      positions: { dtype: "int64", dims: [3, ids.length], data: positions },
    },
  });
  return { states: hidden_state!, ids, cut: { dropped, limit: maxTokens } };
}
