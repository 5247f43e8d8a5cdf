// A family's part in reading LoRA files: data and plain functions, which the family's record holds.
import type { SafetensorsEntry } from "../safetensors.ts";
import type { FindOriginalNames } from "./original_names.ts";

/** Selects tensors of a LoRA file that diffusers ignores. */
export interface DropRule {
  /** Applies the rule only to files with a name that matches. @default all files */
  where?: (key: string) => boolean;
  drops: (key: string) => boolean;
  /** What the tensors are, as users read it. */
  reason: string;
}

export interface LoraRules {
  /**
   * Names that the denoiser's own repository gives to its layers.
   * @default diffusers' names alone
   */
  originalNames?: FindOriginalNames;
  /**
   * Returns the rules for a file, in the order of their reasons' precedence.
   * @param keys names of the file's tensors
   * @default none
   */
  dropRules?(keys: readonly string[]): readonly DropRule[];
  /** Whether files may hold LoKr's factors. @default false */
  readsLokr?: true;
  /** Whether files may hold changes that are no product of matrices: `diff` and `diff_b`. @default false */
  readsWhole?: true;
  /**
   * A layer that reads more columns in some checkpoints than in the one that LoRAs are made for. A LoRA of
   * `columns` changes the first ones.
   * @default none
   */
  wideLayer?: { weight: string; columns: number };
  /**
   * Returns why a file fits no pipeline here, as the end of "Cannot use LoRA FILE as ...".
   * @returns undefined if it may fit
   * @default undefined
   */
  faultOf?(entries: ReadonlyMap<string, SafetensorsEntry>): string | undefined;
}
