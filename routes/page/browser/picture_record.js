// The record of how a file of this program was made. Each format holds the same JSON as plain text, so that
// it is found by its beginning: in PNG, JPEG, WebP and MP4. A GIF cuts it into blocks, so that it is not.
import { METHOD_OPTIONS, WINDOW } from "./method_options.js";

/** @import { ImageRequest, SpectrumOptions } from "./wire.d.ts" */
/** @import { PictureRecord } from "../../../protocol/wire/picture_record.ts" */

/** Characters of a record, at most. */
const MAX_LENGTH = 2 ** 20;
const BEGINNING = '{"generator":"Spectrum Edge"';

/**
 * Reads the request that makes the file again. Returns undefined for files of other programs.
 *
 * @param {Blob} file
 * @returns {Promise<ImageRequest | undefined>}
 */
export async function readRequest(file) {
  const record = /** @type {PictureRecord | undefined} */ (
    readRecord(new Uint8Array(await file.arrayBuffer()))
  );
  try {
    return record && toRequest(record);
  } catch {
    return undefined;
  }
}

/**
 * Reads the record as it stands in the file: unchecked, as anybody may have written it.
 *
 * @param {Uint8Array} bytes
 * @returns {unknown} undefined in files of other programs
 */
export function readRecord(bytes) {
  // One character for each byte, so that places in the text are places in the file.
  const text = new TextDecoder("latin1").decode(bytes);
  const start = text.indexOf(BEGINNING);
  const end = start < 0 ? -1 : endOfObject(text.slice(0, start + MAX_LENGTH), start);
  if (end < 0) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)));
  } catch {
    return undefined;
  }
}

/**
 * @param {string} text
 * @param {number} start Of a JSON object.
 * @returns {number} Behind its last brace; -1 without one.
 */
function endOfObject(text, start) {
  // A text without its end reaches to the last character, so that nothing is looked through twice.
  const marks = /"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?$)|[{}]/gs;
  marks.lastIndex = start;
  for (let depth = 0, match; (match = marks.exec(text)) !== null;) {
    if (match[0] === "{") depth++;
    if (match[0] === "}" && --depth === 0) return marks.lastIndex;
  }
  return -1;
}

/**
 * @param {PictureRecord} record
 * @returns {ImageRequest}
 */
function toRequest({ model, settings }) {
  const { prompt, negative_prompt, seed, steps, width, height, guidance_scale, true_cfg_scale } = settings;
  const { num_frames, fps } = settings;
  return {
    ...{ prompt, model, seed, steps, size: `${width}x${height}`, guidance_scale, true_cfg_scale },
    ...(negative_prompt && { negative_prompt }),
    ...(num_frames !== undefined && { num_frames }),
    ...(fps !== undefined && { fps }),
    output_format: num_frames === undefined ? "png" : "mp4",
    spectrum: toOptions(settings.spectrum),
  };
}

/**
 * The options that say something: not the defaults, and not a window that a plan replaces.
 *
 * @param {PictureRecord["settings"]["spectrum"]} complete
 * @returns {SpectrumOptions}
 */
function toOptions(complete) {
  const { method, passes } = complete;
  const { options, defaults } = METHOD_OPTIONS[method];
  const said = options.filter((name) =>
    name !== "passes" && complete[name] !== defaults[name] && !(passes > 0 && WINDOW.includes(name))
  );
  return {
    method,
    ...(passes > 0 && { passes }),
    ...Object.fromEntries(said.map((name) => [name, complete[name]])),
  };
}
