// Where the tokens of Qwen-Image-2.1 stand: their places in the sequence of text and pictures, and the rotary
// tables of their positions (diffusers' QwenImage21Rope and build_token_metadata).
import {
  type AxesRotaryTables,
  axesRotaryTables,
  centredGrid,
} from "../../graph/layers/attention/axes_rotary.ts";
import type { ImageSize } from "../../media/decoded_image.ts";

export interface QwenImage21LayoutOptions {
  textTokens: number;
  /** Rows and columns of each reference's tokens, in their order. @default none */
  references?: readonly ImageSize[];
  /** Tokens of the text before each reference. */
  referencePlaces?: readonly number[];
  /** Rows of image tokens. */
  height: number;
  /** Columns of image tokens. */
  width: number;
  /** Channels of a head per axis (axes_dims_rope): frame, row, column. */
  axesDims: readonly number[];
}

export interface QwenImage21Layout {
  /** Tables of the references' tokens and then of the text's. */
  condition: AxesRotaryTables;
  /** Tables of the image's tokens, row-major. */
  image: AxesRotaryTables;
  /** Place of each token of the condition in the sequence. */
  places: Float32Array<ArrayBuffer>;
  /**
   * The place before which each token of the condition sees all tokens: behind itself, or behind its whole
   * reference. Filled up with zeros to a multiple of CONDITION_PARTS.
   */
  ends: Float32Array<ArrayBuffer>;
}

/**
 * Parts in which the condition's tokens attend. Masked attention holds the scores of all pairs of tokens: of
 * a megapixel, 2.2 GiB for 32 heads.
 */
export const CONDITION_PARTS = 8;

interface Placed {
  /** Frame, row, column. */
  position: readonly number[];
  place: number;
  end: number;
}

/**
 * Lays the tokens out. Text counts on all axes. A picture is one frame, whose middle is position 0 of rows
 * and columns; the text behind it goes on after its longer side. The image stands at the end.
 */
export function qwenImage21Layout(options: QwenImage21LayoutOptions): QwenImage21Layout {
  const { textTokens, references = [], referencePlaces = [], height, width, axesDims } = options;
  const [text, pictures]: [Placed[], Placed[]] = [[], []];
  let [position, place] = [0, 0];
  const addText = (until: number) => {
    while (text.length < until) {
      text.push({ position: [position, position, position], place, end: place + 1 });
      position++;
      place++;
    }
  };
  for (const [index, size] of references.entries()) {
    addText(referencePlaces[index]!);
    const end = place + size.height * size.width;
    for (const [row, column] of centredGrid(size.height, size.width)) {
      pictures.push({ position: [position, row, column], place: place++, end });
    }
    position += Math.max(size.height, size.width);
  }
  addText(textTokens);
  const condition = [...pictures, ...text];
  const image = centredGrid(height, width).map(([row, column]) => [position, row, column]);
  const ends = new Float32Array(Math.ceil(condition.length / CONDITION_PARTS) * CONDITION_PARTS);
  ends.set(condition.map(({ end }) => end));
  return {
    condition: axesRotaryTables({ positions: condition.map(({ position }) => position), axesDims }),
    image: axesRotaryTables({ positions: image, axesDims }),
    places: Float32Array.from(condition, ({ place }) => place),
    ends,
  };
}
