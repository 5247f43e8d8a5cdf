// The rotary options of transformers' decoder configs (4.x and 5.x), and the
// frequencies that follow from them.
import { z } from "zod";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const count = z.int().positive();
const factor = z.number().positive();
/** All channels of a head are rotated. */
const whole = { partial_rotary_factor: z.literal(1).optional() };
/** Qwen's VL models split the channels over three axes of positions (`rotaryAxes`). */
const axes = {
  mrope_section: z.array(count).optional(),
  mrope_interleaved: z.boolean().optional(),
};

/**
 * "dynamic", "yarn" and "longrope" are rejected: their frequencies depend on the text, or
 * no text encoder was published with them.
 */
const rope = z.preprocess(
  // Configs before transformers 4.45 say "type", and Qwen's VL models "mrope" for "default".
  (value) => typeof value === "object" && value !== null ? withRopeType(value) : value,
  z.discriminatedUnion("rope_type", [
    z.strictObject({ rope_type: z.literal("default"), rope_theta: factor.optional(), ...whole, ...axes }),
    z.strictObject({ rope_type: z.literal("linear"), rope_theta: factor.optional(), factor, ...whole }),
    z.strictObject({
      rope_type: z.literal("llama3"),
      rope_theta: factor.optional(),
      factor,
      low_freq_factor: factor,
      high_freq_factor: factor,
      original_max_position_embeddings: count,
      ...whole,
    }),
  ]),
);

type Rope = z.infer<typeof rope>;

function withRopeType({ type, ...options }: { type?: unknown; rope_type?: unknown }): object {
  const { rope_type: ropeType = type } = options;
  return { ...options, rope_type: ropeType === "mrope" ? "default" : ropeType };
}

/** An option of transformers 5.x, and the two options of 4.x that it replaces. */
export const ROTARY_OPTIONS = {
  rope_parameters: rope.nullish(),
  rope_scaling: rope.nullish(),
  rope_theta: factor.optional(),
};

export interface RotaryConfig {
  rope_parameters?: Rope | null | undefined;
  rope_scaling?: Rope | null | undefined;
  rope_theta?: number | undefined;
}

/**
 * Returns the angle of each pair of channels from one position to the next
 * (transformers' ROPE_INIT_FUNCTIONS).
 */
export function inverseFrequencies(
  config: RotaryConfig,
  { headDim, defaultTheta }: { headDim: number; defaultTheta: number },
): number[] {
  const scaling = config.rope_parameters ?? config.rope_scaling ?? { rope_type: "default" as const };
  const theta = scaling.rope_theta ?? config.rope_theta ?? defaultTheta;
  const plain = Array.from({ length: headDim / 2 }, (_, i) => 1 / theta ** (2 * i / headDim));
  switch (scaling.rope_type) {
    case "default":
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "llama3": {
      const {
        factor,
        low_freq_factor: low,
        high_freq_factor: high,
        original_max_position_embeddings: trained,
      } = scaling;
      // Keeps waves with many periods in the trained context and stretches waves with less than one.
      return plain.map((frequency) => {
        const turns = trained * frequency / (2 * Math.PI);
        const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
        return frequency * (kept + (1 - kept) / factor);
      });
    }
    default:
      return scaling satisfies never;
  }
}

/** How Qwen's VL models assign a head's pairs of channels to the axes of positions. */
export interface RotarySections {
  /** Numbers of pairs on the axes of time, rows and columns if the config has none. */
  sections: readonly number[];
  /** Whether the axes take turns; otherwise each has neighbouring pairs. */
  interleaved: boolean;
}

/**
 * Returns the axis of each pair of channels: 0 is time, 1 the row, 2 the column.
 * @throws {CheckpointError} if the config's sections do not fit a head.
 */
export function rotaryAxes(
  config: RotaryConfig,
  { headDim, path, ...preset }: RotarySections & { headDim: number; path: string },
): number[] {
  const scaling = config.rope_parameters ?? config.rope_scaling;
  const given = scaling?.rope_type === "default" ? scaling.mrope_section : undefined;
  const sections = given ?? preset.sections;
  const pairs = headDim / 2;
  if (sections.length !== 3 || sections.reduce((sum, section) => sum + section, 0) !== pairs) {
    throw new CheckpointError(
      `Cannot use ${path} as 'mrope_section' must be three numbers whose sum is ${pairs}: ` +
        `current value is ${sections}`,
    );
  }
  if (!preset.interleaved) return sections.flatMap((count, axis) => new Array<number>(count).fill(axis));
  return Array.from({ length: pairs }, (_, i) => i % 3 !== 0 && i < sections[i % 3]! * 3 ? i % 3 : 0);
}
