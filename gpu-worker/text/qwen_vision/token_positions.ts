// Positions of a conversation's tokens on three axes: time, row and column (transformers' get_rope_index).
import type { ImageSize } from "../../media/decoded_image.ts";

export interface ConversationLayout {
  ids: readonly number[];
  /** Id of the token that stands for a picture's tokens. */
  imageToken: number;
  /** Rows and columns of each picture's tokens, in order. */
  images: readonly ImageSize[];
}

export interface PlacedTokens {
  /** [3, tokens]. A text's token has the same position on all axes. */
  positions: BigInt64Array<ArrayBuffer>;
  /** Which picture token each token is, counted from 1 over all pictures; 0 for text. */
  features: BigInt64Array<ArrayBuffer>;
}

/**
 * Returns the positions. A picture's rows and columns count from where the text before it ends; the text
 * after it goes on behind its longer side.
 */
export function tokenPositions({ ids, imageToken, images }: ConversationLayout): PlacedTokens {
  const count = ids.length;
  const positions = new BigInt64Array(3 * count);
  const features = new BigInt64Array(count);
  const pictures = images.values();
  let [token, position, feature] = [0, 0, 0];
  const place = (...axes: number[]) => {
    for (const [axis, at] of axes.entries()) positions[axis * count + token] = BigInt(at);
    token++;
  };
  const mismatch = (than: string) =>
    new TypeError(`Cannot place a conversation's pictures as the text must have as many: it has ${than}`);
  while (token < count) {
    if (ids[token] !== imageToken) {
      place(position, position, position);
      position++;
      continue;
    }
    const picture = pictures.next().value;
    if (picture === undefined || token + picture.width * picture.height > count) throw mismatch("more");
    for (let row = 0; row < picture.height; row++) {
      for (let column = 0; column < picture.width; column++) {
        features[token] = BigInt(++feature);
        place(position, position + row, position + column);
      }
    }
    position += Math.max(picture.width, picture.height);
  }
  if (pictures.next().done !== true) throw mismatch("fewer");
  return { positions, features };
}
