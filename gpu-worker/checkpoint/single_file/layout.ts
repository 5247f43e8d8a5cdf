// How a file names and orders the tensors of one network, in terms of diffusers' names.
import type { WeightEntry, Weights } from "../weights.ts";

/** The place of a file's tensor: its network and its name there. */
export interface Place {
  /** diffusers' names. The rows of several tensors follow each other in the file's one. */
  to: readonly string[];
  /** Rows of each tensor in `to`, relative to each other. @default equal */
  shares?: readonly number[];
  /** The order of the file's elements, as in `WeightEntry`. @default diffusers' */
  order?: WeightEntry["order"];
  /**
   * Whether the file keeps a matrix as a convolution of one pixel, with trailing dimensions of 1.
   * @default false
   */
  matrix?: boolean;
  /** Whether the file keeps a convolution of pictures as one of videos, with one frame. @default false */
  frame?: boolean;
}

/** Returns where a tensor belongs: its place, "unused" if no run reads it, undefined if it is unknown. */
export type FindPlace = (name: string) => Place | "unused" | undefined;

/**
 * Beginnings of a denoiser's names: in files with other networks too, as trainers and converters save a
 * network inside another module, and in files of its own.
 */
export const DENOISER_PREFIXES = [
  "model.diffusion_model.",
  "model.model.",
  "diffusion_model.",
  "transformer.",
  "net.",
  "",
] as const;

/** The names that one kind of files gives to the tensors of one network. */
export interface Layout {
  /** Beginnings of the network's names in files of this kind. "" is that of a file without other networks. */
  prefixes: readonly string[];
  /** Returns whether the tensors, named without the prefix, have this layout. */
  matches(tensors: Weights): boolean;
  /** Returns a function that places each of the tensors. */
  place(tensors: Weights): FindPlace;
  /** Tensors that files of this kind leave out, as their values are always the same. @default none */
  implied?(placed: Weights): Iterable<[string, WeightEntry]>;
}

/** Returns a layout of files that use diffusers' or transformers' own names. */
export function ownNames(
  { prefixes = [""], markers, unused = /$^/ }: {
    prefixes?: readonly string[];
    /** Tensors that a file with the network has. */
    markers: readonly string[];
    unused?: RegExp;
  },
): Layout {
  return {
    prefixes,
    matches: (tensors) => markers.every((marker) => tensors.has(marker)),
    place: () => (name) => unused.test(name) ? "unused" : { to: [name] },
  };
}
