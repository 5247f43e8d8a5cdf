// Computes the digest of a checkpoint's content, so that cached results never outlive
// a change of weights or configs.
import { createHash, type Hash } from "node:crypto";
import type { Checkpoint } from "./checkpoint.ts";
import type { Lora } from "../../protocol/wire/model_name.ts";

/** Name of the file in which a plain folder keeps its calibration. */
export const CALIBRATION_FILE = "calibration.json";
/** Files that name the model's digest, or hold only defaults, which a complete request spells out. */
const LEFT_OUT = [CALIBRATION_FILE, "spectrum.json"];

/** Files up to this size, in bytes, are hashed whole. */
const WHOLE = 64 * 2 ** 20;
const SAMPLES = 256;
const SAMPLE_BYTES = 4096;

/**
 * Returns the SHA-256 (hex) over all parts of the checkpoint but the files that LEFT_OUT names, then over each LoRA's weight
 * and file.
 * For larger files it hashes the size and 256 evenly spread pieces of 4 KiB. A fine-tune changes all of a
 * tensor, and hashing 24 GB would delay each start by a minute.
 * @param loras the LoRAs to count in place of the checkpoint's
 */
export function modelDigest(
  checkpoint: Checkpoint,
  { loras = checkpoint.loras }: { loras?: readonly Lora[] } = {},
): string {
  const hash = createHash("sha256");
  for (const part of checkpoint.digestParts()) {
    if (LEFT_OUT.includes(part.name)) continue;
    hash.update(`${part.name}\0`);
    if ("path" in part) update(hash, part.path);
    else hash.update(part.text);
  }
  for (const { path, weight } of loras) {
    hash.update(`lora ${weight}\0`);
    update(hash, path);
  }
  return hash.digest("hex");
}

/** Returns the SHA-256 (hex) of a file, of which large ones are sampled as in `modelDigest`. */
export function fileDigest(path: string): string {
  const hash = createHash("sha256");
  update(hash, path);
  return hash.digest("hex");
}

function update(hash: Hash, path: string): void {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  hash.update(`${size}\0`);
  const pieces = size <= WHOLE ? 1 : SAMPLES;
  const piece = new Uint8Array(size <= WHOLE ? size : SAMPLE_BYTES);
  for (let i = 0; i < pieces; i++) {
    const position = pieces === 1 ? 0 : Math.floor((i / (pieces - 1)) * (size - piece.length));
    file.seekSync(position, Deno.SeekMode.Start);
    let filled = 0;
    for (let read; filled < piece.length && (read = file.readSync(piece.subarray(filled))) !== null;) {
      filled += read;
    }
    hash.update(piece.subarray(0, filled));
  }
}
