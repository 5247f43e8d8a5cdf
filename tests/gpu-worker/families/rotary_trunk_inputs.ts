// The trunk's inputs of a reference call, for transformers whose rotary tables the graph takes as inputs.
import { goldenPath, type Goldens } from "../../goldens/golden.ts";
import { type FloatArrays, goldenArray } from "../graph/float_array.ts";

/** Sizes in tokens of a call, and the rotary dimensions of the checkpoint. */
export interface RotarySizes {
  textTokens: number;
  height: number;
  width: number;
  axesDims: number[];
}

export interface RotaryTable {
  cos: Float32Array<ArrayBuffer>;
  sin: Float32Array<ArrayBuffer>;
}

export interface RotaryTrunkInputs {
  goldens: Goldens;
  /** Folder of the checkpoint in tests/goldens. */
  folder: string;
  config: Record<string, unknown>;
  /** Inputs that the goldens hold beside the latents, the text and the timestep. @default none */
  further?: readonly string[];
  /** Returns the tables by the beginnings of the inputs' names, such as "rotary". */
  tables: (sizes: RotarySizes) => Record<string, RotaryTable>;
}

export function rotaryTrunkInputs(
  call: string,
  { goldens, folder, config, further = [], tables }: RotaryTrunkInputs,
): FloatArrays {
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${folder}/goldens.json`)));
  const sizes = cases[`transformer.${call}`];
  const names = ["hidden_states", "encoder_hidden_states", "timestep", ...further];
  const found = tables({
    textTokens: sizes.text_tokens,
    height: sizes.height_tokens,
    width: sizes.width_tokens,
    axesDims: config["axes_dims_rope"] as number[],
  });
  const half = (config["attention_head_dim"] as number) / 2;
  const toInput = (data: Float32Array<ArrayBuffer>) => ({ shape: [data.length / half, half], data });
  return {
    ...Object.fromEntries(names.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)])),
    ...Object.fromEntries(
      Object.entries(found).flatMap(([name, { cos, sin }]) => [
        [`${name}_cos`, toInput(cos)],
        [`${name}_sin`, toInput(sin)],
      ]),
    ),
  };
}
