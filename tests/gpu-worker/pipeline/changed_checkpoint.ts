// A checkpoint with another scheduler or other options of its pipeline or transformer, over the files of an existing one.
import { dirname, join, resolve } from "node:path";

export interface CheckpointChanges {
  /** scheduler_config.json. @default the checkpoint's own */
  scheduler?: Record<string, unknown> | undefined;
  /** Put over transformer/config.json. */
  transformer?: Record<string, unknown> | undefined;
  /** Put over tokenizer/tokenizer_config.json. */
  tokenizer?: Record<string, unknown> | undefined;
  /** Put over model_index.json. */
  index?: Record<string, unknown>;
}

/** A temporary folder of links, gone when disposed. */
export class ChangedCheckpoint implements Disposable {
  readonly folder: string = Deno.makeTempDirSync();

  constructor(original: string, { scheduler, transformer, tokenizer, index = {} }: CheckpointChanges) {
    linkFiles(original, this.folder);
    const named = scheduler && { scheduler: ["diffusers", scheduler["_class_name"]] };
    this.#change("model_index.json", (own) => ({ ...own, ...named, ...index }));
    if (scheduler) this.#change("scheduler/scheduler_config.json", () => scheduler);
    if (tokenizer) this.#change("tokenizer/tokenizer_config.json", (own) => ({ ...own, ...tokenizer }));
    if (transformer) this.#change("transformer/config.json", (own) => ({ ...own, ...transformer }));
  }

  /** Puts a file in the place of the link to it, and in that of the link to its folder. */
  #change(path: string, change: (own: object) => object): void {
    const own = JSON.parse(Deno.readTextFileSync(join(this.folder, path)));
    const parent = join(this.folder, dirname(path));
    if (Deno.lstatSync(parent).isSymlink) {
      const original = Deno.readLinkSync(parent);
      Deno.removeSync(parent);
      Deno.mkdirSync(parent);
      linkFiles(original, parent);
    }
    Deno.removeSync(join(this.folder, path));
    Deno.writeTextFileSync(join(this.folder, path), JSON.stringify(change(own)));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function linkFiles(from: string, to: string): void {
  for (const { name } of Deno.readDirSync(from)) Deno.symlinkSync(resolve(from, name), join(to, name));
}
