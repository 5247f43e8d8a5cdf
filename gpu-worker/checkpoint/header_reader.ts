// Reads a binary header from front to back, in pieces and with limits.
import { CheckpointError } from "./checkpoint_error.ts";

/** Largest header. That of a vocabulary of 300,000 words has some 12 MB. */
const MAX_HEADER_BYTES = 100_000_000;
const PIECE_BYTES = 2 ** 20;

export class HeaderReader implements Disposable {
  /** Size of the file, in bytes. */
  readonly size: number;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  /** Bytes of the file from `#start` on. */
  #piece: Uint8Array<ArrayBuffer> = new Uint8Array();
  #start = 0;
  #position = 0;

  /** Opens a file. @throws {CheckpointError} if the file does not exist. */
  static open(path: string): HeaderReader {
    try {
      return new HeaderReader(path, Deno.openSync(path));
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new CheckpointError(`Cannot read ${path} as it does not exist`, { cause });
    }
  }

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
    this.size = file.statSync().size;
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#position;
  }

  /** Returns an error about the file. */
  refuse(reason: string): CheckpointError {
    return new CheckpointError(`Cannot read ${this.#path} as ${reason}`);
  }

  skip(bytes: number): void {
    const end = this.#position + bytes;
    if (end > this.size) {
      throw this.refuse(`its header needs ${end} bytes in a file of ${this.size}: truncated, or damaged`);
    }
    if (end > MAX_HEADER_BYTES) {
      throw this.refuse(`its header must have at most ${MAX_HEADER_BYTES} bytes, but has more`);
    }
    this.#position = end;
  }

  uint32(): number {
    return this.#view(4).getUint32(0, true);
  }

  /** Reads a uint64. @throws {CheckpointError} above 2^53, which no file needs. */
  uint64(): number {
    const value = Number(this.#view(8).getBigUint64(0, true));
    if (Number.isSafeInteger(value)) return value;
    throw this.refuse(`its header holds the number ${value}, which no file needs`);
  }

  /** Reads a uint64 that counts `what`. */
  count(what: string, most: number): number {
    const count = this.uint64();
    if (count <= most) return count;
    throw this.refuse(`its header must list at most ${most} ${what}, but lists ${count}`);
  }

  /** Reads a string with its length before it. */
  text(what: string, most: number): string {
    const length = this.uint64();
    if (length > most) throw this.refuse(`${what} must have at most ${most} bytes, but has ${length}`);
    const { buffer, byteOffset } = this.#view(length);
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, byteOffset, length));
    } catch {
      throw this.refuse(`${what} is not UTF-8`);
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #view(bytes: number): DataView<ArrayBuffer> {
    const from = this.#position;
    this.skip(bytes);
    if (from < this.#start || from + bytes > this.#start + this.#piece.length) this.#read(from, bytes);
    return new DataView(this.#piece.buffer, from - this.#start, bytes);
  }

  #read(from: number, bytes: number): void {
    const piece = new Uint8Array(Math.min(Math.max(bytes, PIECE_BYTES), this.size - from));
    this.#file.seekSync(from, Deno.SeekMode.Start);
    for (let filled = 0; filled < piece.length;) {
      const read = this.#file.readSync(piece.subarray(filled));
      if (read === null) throw this.refuse(`it ends after ${from + filled} bytes`);
      filled += read;
    }
    this.#piece = piece;
    this.#start = from;
  }
}
