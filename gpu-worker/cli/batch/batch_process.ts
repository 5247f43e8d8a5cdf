// The parent's side of a `batch_worker.ts` process: starts it, sends it tasks, notices when it dies.
import { TextLineStream } from "@std/streams/text-line-stream";
import type { HeldWeights } from "../../checkpoint/blocks/quantization_of.ts";
import type { BatchDevice } from "./batch_arguments.ts";
import type { BatchEvent, BatchTask } from "./batch_messages.ts";
import type { PartFiles } from "../../checkpoint/part_files.ts";
import { type CalibrationArguments, calibrationArguments } from "../../flags/calibration_flags.ts";
import { memoryArguments, type MemoryOptions } from "../../flags/memory_flags.ts";
import { partArguments } from "../../flags/part_flags.ts";

export interface BatchProcessOptions {
  model: string;
  parts: PartFiles;
  device: BatchDevice;
  dtype: string;
  weights: HeldWeights;
  memory: MemoryOptions;
  calibration: CalibrationArguments;
  /** Threads of the CPU provider. @default one for each physical core */
  threads?: number | undefined;
  /** Aborting ends the process; one that is drawing ends within a step. */
  signal: AbortSignal;
}

/** Time that a process has to end after SIGTERM before it is killed. */
const STOP_MS = 10_000;
const WORKER = new URL("./batch_worker.ts", import.meta.url);

export class BatchProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #tasks: WritableStreamDefaultWriter<Uint8Array>;
  readonly #events: AsyncIterator<string>;
  readonly #lastWords: Promise<string>;
  readonly #stop: () => void;
  readonly #signal: AbortSignal;

  private constructor(
    { model, parts, device, dtype, weights, memory, calibration, threads, signal }: BatchProcessOptions,
  ) {
    const { provider, deviceId } = device;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "-P=model", "--allow-run=ffmpeg"],
        ...[WORKER.href, "--model", model, "--device", provider, "--dtype", dtype],
        ...["--weights", weights],
        ...memoryArguments(memory),
        ...partArguments(parts),
        ...calibrationArguments(calibration),
        ...deviceId === undefined ? [] : ["--device-id", String(deviceId)],
        ...threads === undefined ? [] : ["--threads", String(threads)],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#tasks = this.#child.stdin.getWriter();
    const lines: ReadableStream<string> = this.#child.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    this.#events = lines[Symbol.asyncIterator]();
    this.#lastWords = lastLine(this.#child.stderr);
    this.#signal = signal;
    this.#stop = () => {
      kill(this.#child, "SIGTERM");
      Deno.unrefTimer(setTimeout(() => kill(this.#child, "SIGKILL"), STOP_MS));
    };
    signal.addEventListener("abort", this.#stop);
  }

  /**
   * Starts a process and waits until its model is loaded. @throws {Error} with the reason if loading fails.
   */
  static async start(options: BatchProcessOptions): Promise<BatchProcess> {
    options.signal.throwIfAborted();
    const process = new BatchProcess(options);
    await process.#next();
    return process;
  }

  /** Draws one picture. @throws {Error} with the reason if the process dies meanwhile. */
  async draw(
    { folder, request, settings, metadata }: BatchTask,
    onStep: () => void,
  ): Promise<Extract<BatchEvent, { type: "drawn" | "failed" }>> {
    const line = JSON.stringify({ folder, request, settings, metadata } satisfies BatchTask);
    // If the process is dead, #next() reports it.
    await this.#tasks.write(new TextEncoder().encode(line + "\n")).catch(() => {});
    for (;;) {
      const event = await this.#next();
      if (event.type === "drawn" || event.type === "failed") return event;
      onStep();
    }
  }

  async #next(): Promise<BatchEvent> {
    const { value, done } = await this.#events.next();
    if (!done) return JSON.parse(value);
    const { code, signal } = await this.#child.status;
    this.#signal.throwIfAborted();
    const reason = (await this.#lastWords).replace(/^batch: /, "");
    throw new Error(reason || `its process ended with ${signal ?? `code ${code}`}`);
  }

  /** Resolves when the process has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tasks.close().catch(() => {});
    await this.#child.status;
    this.#signal.removeEventListener("abort", this.#stop);
  }
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended
  }
}

async function lastLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  return (await new Response(stream).text()).trim().split("\n").at(-1)!;
}
