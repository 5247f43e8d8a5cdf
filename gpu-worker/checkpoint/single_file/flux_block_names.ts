// The names of FLUX's blocks in black-forest-labs/flux, which the models that descend from FLUX.1 share.
import type { NameTable } from "./name_table.ts";

/** diffusers' names of a stream's projections, norms and feed-forward. */
interface FluxStream {
  qkv: readonly string[];
  out: string;
  norms: readonly [query: string, key: string];
  ff: string;
}

const STREAMS: Readonly<Record<"img" | "txt", FluxStream>> = {
  img: { qkv: ["to_q", "to_k", "to_v"], out: "to_out.0", norms: ["norm_q", "norm_k"], ff: "ff" },
  txt: {
    qkv: ["add_q_proj", "add_k_proj", "add_v_proj"],
    out: "to_add_out",
    norms: ["norm_added_q", "norm_added_k"],
    ff: "ff_context",
  },
};

/**
 * Returns the names of one stream of the double blocks.
 * @param mlp diffusers' names of the feed-forward's two layers
 */
export function fluxStreamNames(file: "img" | "txt", mlp: readonly [first: string, last: string]) {
  const { qkv, out, norms, ff } = STREAMS[file];
  const [theirs, ours] = [`double_blocks.*.${file}`, "transformer_blocks.*"];
  return {
    modules: {
      [`${theirs}_attn.qkv`]: qkv.map((name) => `${ours}.attn.${name}`),
      [`${theirs}_attn.proj`]: `${ours}.attn.${out}`,
      [`${theirs}_mlp.0`]: `${ours}.${ff}.${mlp[0]}`,
      [`${theirs}_mlp.2`]: `${ours}.${ff}.${mlp[1]}`,
    },
    tensors: fluxNormNames(`${theirs}_attn.norm`, `${ours}.attn`, norms),
  };
}

/** Endings of norms' weights: the published files', and those that ComfyUI saves. */
export const NORM_ENDINGS = ["scale", "weight"] as const;

/** Returns the names of the norms of queries and keys. */
export function fluxNormNames(
  theirs: string,
  ours: string,
  [query, key]: readonly [string, string],
): Record<string, string> {
  return Object.fromEntries(NORM_ENDINGS.flatMap((ending) => [
    [`${theirs}.query_norm.${ending}`, `${ours}.${query}.weight`],
    [`${theirs}.key_norm.${ending}`, `${ours}.${key}.weight`],
  ]));
}

const IMAGE = fluxStreamNames("img", ["net.0.proj", "net.2"]);
const TEXT = fluxStreamNames("txt", ["net.0.proj", "net.2"]);

export const FLUX_BLOCK_NAMES: Required<Pick<NameTable, "modules" | "tensors">> = {
  modules: {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    ...IMAGE.modules,
    ...TEXT.modules,
    "single_blocks.*.linear1": {
      to: ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"].map((name) =>
        `single_transformer_blocks.*.${name}`
      ),
      shares: [1, 1, 1, 4],
    },
    "single_blocks.*.linear2": "single_transformer_blocks.*.proj_out",
    "final_layer.linear": "proj_out",
  },
  tensors: {
    ...IMAGE.tensors,
    ...TEXT.tensors,
    ...fluxNormNames("single_blocks.*.norm", "single_transformer_blocks.*.attn", ["norm_q", "norm_k"]),
  },
};

/** Names of LoRAs by XLabs, after the attention processors that they belong to. */
export const FLUX_PROCESSOR_NAMES: Required<NameTable>["modules"] = {
  "double_blocks.*.processor.qkv_lora1": ["to_q", "to_k", "to_v"].map((name) =>
    `transformer_blocks.*.attn.${name}`
  ),
  "double_blocks.*.processor.qkv_lora2": ["add_q_proj", "add_k_proj", "add_v_proj"].map((name) =>
    `transformer_blocks.*.attn.${name}`
  ),
  "double_blocks.*.processor.proj_lora1": "transformer_blocks.*.attn.to_out.0",
  "double_blocks.*.processor.proj_lora2": "transformer_blocks.*.attn.to_add_out",
  "single_blocks.*.processor.qkv_lora": ["to_q", "to_k", "to_v"].map((name) =>
    `single_transformer_blocks.*.attn.${name}`
  ),
  "single_blocks.*.processor.proj_lora": "single_transformer_blocks.*.proj_out",
};
