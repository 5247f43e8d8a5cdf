// NVIDIA's FLIP, the difference that a viewer sees when two pictures alternate (Andersson et al. 2020), by
// its own evaluator in Python (PyPI flip-evaluator): there is none for JavaScript.
import { TextLineStream } from "@std/streams/text-line-stream";
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { toRgb } from "../../../gpu-worker/media/to_rgb.ts";

const SCRIPT = new URL("flip.py", import.meta.url).pathname;

export class Flip implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;

  /** @param python an interpreter with flip-evaluator and numpy */
  constructor(python: string) {
    const command = new Deno.Command(python, { args: [SCRIPT], stdin: "piped", stdout: "piped" });
    this.#child = command.spawn();
    this.#input = this.#child.stdin.getWriter();
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    this.#lines = text.pipeThrough<string>(new TextLineStream()).getReader();
  }

  /** Mean over the pixels, 0..1. */
  async compare(reference: DecodedImage, test: DecodedImage): Promise<number> {
    const { width, height } = reference;
    await this.#input.write(new Uint8Array(Uint32Array.of(width, height).buffer));
    await this.#input.write(toRgb(reference));
    await this.#input.write(toRgb(test));
    const { value } = await this.#lines.read();
    if (value === undefined) throw new Error("Cannot measure FLIP as its process has ended");
    return Number(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#lines.cancel();
    await this.#child.status;
  }
}
