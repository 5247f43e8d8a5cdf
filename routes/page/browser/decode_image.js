// Pictures from the wire: base64 to a Blob.

/**
 * Decodes a picture from base64.
 *
 * @param {string} base64
 * @param {string} format "png", "jpeg" or "webp".
 * @returns {Blob}
 */
export function decodeImage(base64, format) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: `image/${format}` });
}
