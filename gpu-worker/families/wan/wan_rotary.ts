// Rotary tables of Wan's positions (diffusers' WanRotaryPosEmbed): time, row and column of each patch.
import { rotaryAngles } from "../../graph/layers/attention/rotary_angles.ts";

export interface WanRotaryOptions {
  /** Frames of latents. */
  frames: number;
  /** Rows of patches. */
  rows: number;
  /** Columns of patches. */
  columns: number;
  /** Channels of a head. */
  headDim: number;
}

/** Both tables are [frames * rows * columns, headDim / 2], in the order of tokens. */
export interface WanRotaryTables {
  cos: Float32Array<ArrayBuffer>;
  sin: Float32Array<ArrayBuffer>;
}

/**
 * Returns cosines and sines of the angles (rotary_angles.ts), computed in float64 and rounded once.
 */
export function wanRotaryTables({ frames, rows, columns, headDim }: WanRotaryOptions): WanRotaryTables {
  // Rows and columns use a third of a head each, rounded down to pairs. Time uses the rest.
  const sideDim = 2 * Math.floor(headDim / 6);
  const timeDim = headDim - 2 * sideDim;
  const axes = [rotaryAngles(frames, timeDim), rotaryAngles(rows, sideDim), rotaryAngles(columns, sideDim)];
  const pairs = headDim / 2;
  const table = (wave: (angle: number) => number) => {
    const [byFrame, byRow, byColumn] = axes.map((axis) => axis.map((at) => Float32Array.from(at, wave)));
    const values = new Float32Array(frames * rows * columns * pairs);
    let start = 0;
    for (let frame = 0; frame < frames; frame++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++, start += pairs) {
          values.set(byFrame![frame]!, start);
          values.set(byRow![row]!, start + timeDim / 2);
          values.set(byColumn![column]!, start + (timeDim + sideDim) / 2);
        }
      }
    }
    return values;
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}
