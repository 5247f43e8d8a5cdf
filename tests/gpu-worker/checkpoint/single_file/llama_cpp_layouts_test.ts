// Text encoders in llama.cpp's names: the twin in transformers' names gives the same tensors.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { placeTensors } from "../../../../gpu-worker/checkpoint/single_file/place_tensors.ts";
import { t5Part } from "../../../../gpu-worker/checkpoint/single_file/parts/t5_part.ts";
import { clipPart } from "../../../../gpu-worker/checkpoint/single_file/parts/clip_part.ts";
import { causalPart } from "../../../../gpu-worker/checkpoint/single_file/parts/causal_part.ts";
import type { Part } from "../../../../gpu-worker/checkpoint/single_file/architecture.ts";
import type { Weights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { component } from "../../graph/component.ts";

/** Renames tensors as llama.cpp's converter does (gguf-py's tensor_mapping.py). */
function renamed(weights: Weights, rules: readonly [RegExp, string][]): Weights {
  return new Map([...weights].map(([name, entry]) => {
    let other = name;
    for (const [pattern, by] of rules) other = other.replace(pattern, by);
    assert.notEqual(other, name, `no rule for ${name}`);
    return [other, entry];
  }));
}

function assertPlaced(part: Part, { file, expected }: { file: Weights; expected: Weights }): void {
  const layouts = part.layouts.filter((layout) => layout.prefixes.includes("") && layout.matches(file));
  assert.equal(layouts.length, 1);
  const { weights, unknown } = placeTensors(file, layouts[0]!);
  assert.deepEqual(unknown, []);
  const sorted = (tensors: Weights) => [...tensors].sort(([a], [b]) => a < b ? -1 : 1);
  assert.deepEqual(sorted(weights), sorted(expected));
}

const T5_RULES: [RegExp, string][] = [
  [/^shared\./, "token_embd."],
  [/^encoder\.final_layer_norm\./, "enc.output_norm."],
  [/^encoder\.block\.(\d+)\.layer\.0\.layer_norm/, "enc.blk.$1.attn_norm"],
  [/^encoder\.block\.(\d+)\.layer\.0\.SelfAttention\.relative_attention_bias/, "enc.blk.$1.attn_rel_b"],
  [/^encoder\.block\.(\d+)\.layer\.0\.SelfAttention\.([qkvo])\./, "enc.blk.$1.attn_$2."],
  [/^encoder\.block\.(\d+)\.layer\.1\.layer_norm/, "enc.blk.$1.ffn_norm"],
  [/^encoder\.block\.(\d+)\.layer\.1\.DenseReluDense\.wi_0/, "enc.blk.$1.ffn_gate"],
  [/^encoder\.block\.(\d+)\.layer\.1\.DenseReluDense\.wi(?:_1)?\./, "enc.blk.$1.ffn_up."],
  [/^encoder\.block\.(\d+)\.layer\.1\.DenseReluDense\.wo/, "enc.blk.$1.ffn_down"],
];

const CLIP_RULES: [RegExp, string][] = [
  [/^(?:text_model\.)?embeddings\.(token|position)_embedding/, "t.$1_embd"],
  [/^(?:text_model\.)?final_layer_norm/, "t.post_ln"],
  [/^(?:text_model\.)?encoder\.layers\.(\d+)\.layer_norm(\d)/, "t.blk.$1.ln$2"],
  [/^(?:text_model\.)?encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj/, "t.blk.$1.attn_$2"],
  [/^(?:text_model\.)?encoder\.layers\.(\d+)\.self_attn\.out_proj/, "t.blk.$1.attn_out"],
  [/^(?:text_model\.)?encoder\.layers\.(\d+)\.mlp\.fc1/, "t.blk.$1.ffn_down"],
  [/^(?:text_model\.)?encoder\.layers\.(\d+)\.mlp\.fc2/, "t.blk.$1.ffn_up"],
];

const LLAMA_RULES: [RegExp, string][] = [
  [/^(?:model\.)?embed_tokens\./, "token_embd."],
  [/^(?:model\.)?norm\./, "output_norm."],
  [/^(?:model\.)?layers\.(\d+)\.input_layernorm/, "blk.$1.attn_norm"],
  [/^(?:model\.)?layers\.(\d+)\.self_attn\.([qkv])_proj/, "blk.$1.attn_$2"],
  [/^(?:model\.)?layers\.(\d+)\.self_attn\.o_proj/, "blk.$1.attn_output"],
  [/^(?:model\.)?layers\.(\d+)\.post_attention_layernorm/, "blk.$1.ffn_norm"],
  [/^(?:model\.)?layers\.(\d+)\.mlp\.(gate|up|down)_proj/, "blk.$1.ffn_$2"],
];

describe("llama.cpp's names", () => {
  it("are T5's", () => {
    const { weights } = component("flux/tiny-dev/text_encoder_2");
    const part = t5Part({ component: "text_encoder_2", className: "T5EncoderModel", prefixes: [] });
    assertPlaced(part, { file: renamed(weights, T5_RULES), expected: weights });
  });

  it("are UMT5's", () => {
    const { weights } = component("wan/tiny-unipc/text_encoder");
    const part = t5Part({ component: "text_encoder", className: "UMT5EncoderModel", prefixes: [] });
    assertPlaced(part, { file: renamed(weights, T5_RULES), expected: weights });
  });

  it("are CLIP's, whose MLP is named the other way round", () => {
    const { weights } = component("flux/tiny-dev/text_encoder");
    const part = clipPart({ component: "text_encoder", className: "CLIPTextModel", prefixes: [] });
    const expected = new Map([...weights].map(([name, entry]) => [
      name.startsWith("text_model.") ? name : `text_model.${name}`,
      entry,
    ]));
    assertPlaced(part, { file: renamed(weights, CLIP_RULES), expected });
  });

  it("are LLaMA's, of which queries and keys have their halves in turn", () => {
    const { weights } = component("hunyuan_video/tiny-plain/text_encoder");
    const isRotated = (name: string) => /\.(?:attn_[qk]|self_attn\.[qk]_proj)\.weight$/.test(name);
    const paired = (tensors: Weights): Weights =>
      new Map([...tensors].map(([name, entry]) => [
        name,
        isRotated(name) ? { ...entry, order: "paired", headRows: 4 } : entry,
      ]));
    const plain = new Map([...weights].map(([name, entry]) => [name.replace(/^model\./, ""), entry]));
    const file = renamed(weights, LLAMA_RULES);
    assertPlaced(causalPart({ component: "text_encoder", className: "LlamaModel", names: [] }), {
      file: paired(file),
      expected: paired(plain),
    });
    // Rows in an unknown order are worse than no model.
    const [layout] = causalPart({ component: "text_encoder", className: "LlamaModel", names: [] }).layouts
      .filter((layout) => layout.matches(file));
    assert.ok(layout !== undefined);
    assert.deepEqual(placeTensors(file, layout).unknown.sort(), [...file.keys()].filter(isRotated).sort());
  });
});
