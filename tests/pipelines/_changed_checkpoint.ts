// A checkpoint with another scheduler or other options of its pipeline, over the files of an existing one.
import { join, resolve } from "node:path";

export interface CheckpointChanges {
  /** scheduler_config.json. @default the checkpoint's own */
  scheduler?: Record<string, unknown> | undefined;
  /** Put over model_index.json. */
  index?: Record<string, unknown>;
}

/** A temporary folder of links, gone when disposed. */
export class ChangedCheckpoint implements Disposable {
  readonly folder: string = Deno.makeTempDirSync();

  constructor(original: string, { scheduler, index = {} }: CheckpointChanges) {
    const changed = ["model_index.json", ...scheduler ? ["scheduler"] : []];
    for (const { name } of Deno.readDirSync(original)) {
      if (!changed.includes(name)) Deno.symlinkSync(resolve(original, name), join(this.folder, name));
    }
    const own = JSON.parse(Deno.readTextFileSync(join(original, "model_index.json")));
    const named = scheduler && { scheduler: ["diffusers", scheduler["_class_name"]] };
    this.#write("model_index.json", { ...own, ...named, ...index });
    if (scheduler === undefined) return;
    Deno.mkdirSync(join(this.folder, "scheduler"));
    this.#write("scheduler/scheduler_config.json", scheduler);
  }

  #write(path: string, json: unknown): void {
    Deno.writeTextFileSync(join(this.folder, path), JSON.stringify(json));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}
