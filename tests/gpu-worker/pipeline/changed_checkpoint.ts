// A copy of a checkpoint, made of links, with another scheduler or other options
// of its pipeline or transformer.
import { dirname, join, resolve } from "node:path";

export interface CheckpointChanges {
  /** scheduler_config.json. @default the checkpoint's own */
  scheduler?: Record<string, unknown> | undefined;
  /** Replaces options of transformer/config.json. */
  transformer?: Record<string, unknown> | undefined;
  /** Replaces options of tokenizer/tokenizer_config.json. */
  tokenizer?: Record<string, unknown> | undefined;
  /** Replaces entries of model_index.json. */
  index?: Record<string, unknown>;
  /** Replaces components by these folders. */
  components?: Record<string, string>;
}

/** A temporary folder of links, deleted on disposal. */
export class ChangedCheckpoint implements Disposable {
  readonly folder: string = Deno.makeTempDirSync();

  constructor(
    original: string,
    { scheduler, transformer, tokenizer, index = {}, components = {} }: CheckpointChanges,
  ) {
    linkFiles(original, this.folder);
    for (const [name, folder] of Object.entries(components)) {
      Deno.removeSync(join(this.folder, name));
      Deno.symlinkSync(resolve(folder), join(this.folder, name));
    }
    const named = scheduler && { scheduler: ["diffusers", scheduler["_class_name"]] };
    this.#change("model_index.json", (own) => ({ ...own, ...named, ...index }));
    if (scheduler) this.#change("scheduler/scheduler_config.json", () => scheduler);
    if (tokenizer) this.#change("tokenizer/tokenizer_config.json", (own) => ({ ...own, ...tokenizer }));
    if (transformer) this.#change("transformer/config.json", (own) => ({ ...own, ...transformer }));
  }

  /** Replaces the link to a file, and the link to its folder, with real ones. */
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
