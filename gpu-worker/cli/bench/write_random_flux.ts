// Writes a FLUX checkpoint of any size with random weights, for benches. The
// cost of a full pass does not depend on the weights' values.
import { join } from "node:path";

export interface RandomFluxOptions {
  /** Features of a token: 128 times the number of heads, as in FLUX.1. */
  width: number;
  doubleBlocks: number;
  singleBlocks: number;
  /** Default side of the pictures, in pixels; (side / 8)^2 tokens. */
  side: number;
  /** Default number of steps. @default 50 */
  steps?: number;
  /** Type of the transformer's weights. @default "F32" */
  dtype?: StoredType;
}

type StoredType = keyof typeof ELEMENT_BYTES;

const ELEMENT_BYTES = { F32: 4, BF16: 2, F8_E4M3: 1 };
const HEAD_DIM = 128;
/** The checkpoint that text encoders, tokenizers and VAE are copied from. */
const LENDER = "models/emoji";
/** Latent channels of the lender's VAE, after packing. */
const IN_CHANNELS = 64;
/**
 * Length of the list of random numbers that fills the
 * weights again and again. Long enough, and quick to create.
 */
const POOL = 2 ** 20;

/** Writes the checkpoint into `folder`, which must exist. */
export async function writeRandomFlux(folder: string, options: RandomFluxOptions): Promise<void> {
  const { width, doubleBlocks, singleBlocks, side, steps = 50, dtype = "F32" } = options;
  const parts = ["text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "vae", "scheduler"];
  for (const part of parts) {
    await Deno.mkdir(join(folder, part));
    for await (const { name } of Deno.readDir(join(LENDER, part))) {
      await Deno.copyFile(join(LENDER, part, name), join(folder, part, name));
    }
  }
  await Deno.copyFile(join(LENDER, "model_index.json"), join(folder, "model_index.json"));
  const { joint_attention_dim: text, pooled_projection_dim: pooled } = JSON.parse(
    await Deno.readTextFile(join(LENDER, "transformer", "config.json")),
  );
  await Deno.mkdir(join(folder, "transformer"));
  const config = {
    _class_name: "FluxTransformer2DModel",
    patch_size: 1,
    in_channels: IN_CHANNELS,
    guidance_embeds: true,
    num_layers: doubleBlocks,
    num_single_layers: singleBlocks,
    attention_head_dim: HEAD_DIM,
    num_attention_heads: width / HEAD_DIM,
    joint_attention_dim: text,
    pooled_projection_dim: pooled,
    axes_dims_rope: [16, 56, 56],
  };
  await writeJson(join(folder, "transformer", "config.json"), config);
  const defaults = { steps, width: side, height: side, trueCfgScale: 1, maxSequenceLength: 12 };
  await writeJson(join(folder, "spectrum.json"), { ...defaults, maxPixels: 4 * side ** 2 });
  const shapes = fluxShapes({ width, doubleBlocks, singleBlocks, text, pooled });
  await writeWeights(join(folder, "transformer", "diffusion_pytorch_model.safetensors"), shapes, dtype);
}

type Shapes = Map<string, number[]>;

/** Returns the shape of every tensor of FluxTransformer2DModel. */
function fluxShapes(
  { width, doubleBlocks, singleBlocks, text, pooled }: Record<
    "width" | "doubleBlocks" | "singleBlocks" | "text" | "pooled",
    number
  >,
): Shapes {
  const shapes: Shapes = new Map();
  const linear = (name: string, inFeatures: number, outFeatures: number) => {
    shapes.set(`${name}.weight`, [outFeatures, inFeatures]).set(`${name}.bias`, [outFeatures]);
  };
  const embedding = (name: string, inFeatures: number) => {
    linear(`time_text_embed.${name}.linear_1`, inFeatures, width);
    linear(`time_text_embed.${name}.linear_2`, width, width);
  };
  const attention = (name: string, streams: readonly (readonly string[])[]) => {
    for (const [query, key, value, queryNorm, keyNorm] of streams) {
      for (const layer of [query, key, value]) linear(`${name}.${layer}`, width, width);
      for (const norm of [queryNorm, keyNorm]) shapes.set(`${name}.${norm}.weight`, [HEAD_DIM]);
    }
  };
  const image = ["to_q", "to_k", "to_v", "norm_q", "norm_k"];
  const added = ["add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q", "norm_added_k"];
  linear("x_embedder", IN_CHANNELS, width);
  linear("context_embedder", text, width);
  for (const name of ["timestep_embedder", "guidance_embedder"]) embedding(name, 256);
  embedding("text_embedder", pooled);
  for (let i = 0; i < doubleBlocks; i++) {
    const name = `transformer_blocks.${i}`;
    for (const norm of ["norm1", "norm1_context"]) linear(`${name}.${norm}.linear`, width, 6 * width);
    attention(`${name}.attn`, [image, added]);
    for (const out of ["to_out.0", "to_add_out"]) linear(`${name}.attn.${out}`, width, width);
    for (const mlp of ["ff", "ff_context"]) {
      linear(`${name}.${mlp}.net.0.proj`, width, 4 * width);
      linear(`${name}.${mlp}.net.2`, 4 * width, width);
    }
  }
  for (let i = 0; i < singleBlocks; i++) {
    const name = `single_transformer_blocks.${i}`;
    linear(`${name}.norm.linear`, width, 3 * width);
    attention(`${name}.attn`, [image]);
    linear(`${name}.proj_mlp`, width, 4 * width);
    linear(`${name}.proj_out`, 5 * width, width);
  }
  linear("norm_out.linear", width, 2 * width);
  linear("proj_out", width, IN_CHANNELS);
  return shapes;
}

/** Writes a safetensors file piece by piece, as it may be larger than memory. */
async function writeWeights(path: string, shapes: Shapes, dtype: StoredType): Promise<void> {
  const elementBytes = ELEMENT_BYTES[dtype];
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, shape] of shapes) {
    const bytes = shape.reduce((product, dim) => product * dim, elementBytes);
    header[name] = { dtype, shape, data_offsets: [end, end += bytes] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  using file = await Deno.open(path, { write: true, createNew: true });
  const writer = file.writable.getWriter();
  await writer.write(new Uint8Array(BigUint64Array.of(BigInt(json.length)).buffer));
  await writer.write(json);
  const pool = randomPool(dtype);
  for (let left = end; left > 0; left -= pool.byteLength) {
    await writer.write(pool.subarray(0, Math.min(left, pool.byteLength)));
  }
  await writer.close();
}

/** Returns small numbers around zero, so that no activation overflows. They are the same on every call. */
function randomPool(dtype: StoredType): Uint8Array {
  const values = new Float32Array(POOL);
  let state = 1;
  for (let i = 0; i < POOL; i++) {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    values[i] = state / 2 ** 31 * 0.04;
  }
  if (dtype === "F32") return new Uint8Array(values.buffer);
  // A sign, and one of the 19 smallest numbers, up to 0.039.
  if (dtype === "F8_E4M3") {
    return Uint8Array.from(values, (value) => (value < 0 ? 128 : 0) | Math.abs(value) * 475);
  }
  const bits = new Uint32Array(values.buffer);
  return new Uint8Array(Uint16Array.from(bits, (word) => word >>> 16).buffer);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(path, JSON.stringify(value, null, 2));
}
