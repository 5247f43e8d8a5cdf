// CLIP's text encoder, in transformers' names and in open_clip's (mlfoundations). open_clip fuses the three
// projections of an attention and stores the text projection transposed.
import type { WeightEntry, Weights } from "../../weights.ts";
import type { Part } from "../architecture.ts";
import type { FindPlace, Layout } from "../layout.ts";
import { findInTable } from "../name_table.ts";
import { LLAMA_CPP_CLIP } from "./llama_cpp_layouts.ts";

export interface ClipPartOptions {
  component: string;
  className: "CLIPTextModel" | "CLIPTextModelWithProjection";
  /** Beginnings of the encoder's names in files with several networks. */
  prefixes: readonly string[];
  /**
   * Whether the text projection is the identity, whatever the file has: Stable Diffusion 3 does not
   * project the first encoder's text. @default false
   */
  identityProjection?: boolean;
  /** Number of layers that are run; more may be in the file. @default all */
  layers?: number;
}

const PROJECTION = "text_projection.weight";
/** Buffers, the scale of training, and the image encoder. */
const UNUSED =
  /^(?:.*\.)?position_ids$|^logit_scale$|^attn_mask$|^(?:vision_model|visual|visual_projection)\./;
const FIRST_NORM = "encoder.layers.0.layer_norm1.weight";

/** Returns a CLIP encoder of a pipeline. */
export function clipPart({ component, className, ...options }: ClipPartOptions): Part {
  const { layers = Infinity, identityProjection = false } = options;
  const prefixes = [...options.prefixes, ""];
  const runs = (layer: string | undefined) => layer === undefined || Number(layer) < layers;
  const transformers: Layout = {
    prefixes,
    matches: (tensors) => tensors.has(`text_model.${FIRST_NORM}`) || tensors.has(FIRST_NORM),
    place: () => (name) => {
      if (UNUSED.test(name) || (identityProjection && name === PROJECTION)) return "unused";
      const [, layer] = /^(?:text_model\.)?encoder\.layers\.(\d+)\./.exec(name) ?? [];
      return runs(layer) ? { to: [name] } : "unused";
    },
    implied: identityProjection ? identity : () => [],
  };
  const openClip: Layout = {
    // An encoder inside a checkpoint is open_clip's attribute `model`.
    prefixes: [...options.prefixes.map((prefix) => prefix.replace(/transformer\.$/, "model.")), ""],
    matches: (tensors) => tensors.has("transformer.resblocks.0.attn.in_proj_weight"),
    place: () => {
      const find = findInTable(OPEN_CLIP);
      return (name): ReturnType<FindPlace> => {
        const [, layer] = /^transformer\.resblocks\.(\d+)\./.exec(name) ?? [];
        return runs(layer) ? find(name) : "unused";
      };
    },
  };
  return { component, className, layouts: [transformers, openClip, LLAMA_CPP_CLIP] };
}

const OPEN_CLIP = {
  modules: block({
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
  }),
  tensors: {
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": { to: [PROJECTION], order: "transposed" as const },
    "text_projection.weight": PROJECTION,
    "transformer.resblocks.*.attn.in_proj_weight": inProjection("weight"),
    "transformer.resblocks.*.attn.in_proj_bias": inProjection("bias"),
  },
  unused: UNUSED,
};

function block(names: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(names).map(([file, ours]) => [
      `transformer.resblocks.*.${file}`,
      `text_model.encoder.layers.*.${ours}`,
    ]),
  );
}

function inProjection(suffix: string): string[] {
  return ["q", "k", "v"].map((part) => `text_model.encoder.layers.*.self_attn.${part}_proj.${suffix}`);
}

function* identity(placed: Weights): Iterable<[string, WeightEntry]> {
  const norm = placed.get(`text_model.${FIRST_NORM}`) ?? placed.get(FIRST_NORM);
  if (norm === undefined) return;
  const size = norm.shape[0]!;
  const { path } = norm;
  yield [PROJECTION, {
    dtype: "float32",
    shape: [size, size],
    offset: 0,
    byteLength: 0,
    path,
    order: "identity",
  }];
}
