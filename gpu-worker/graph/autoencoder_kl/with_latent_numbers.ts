// An AutoencoderKL's config has more numbers about its latents than a pipeline of diffusers reads.

/** The numbers that are read beside `scaling_factor`: none, `shift_factor`, or `latents_mean` and `_std`. */
export type LatentNumbers = "none" | "shift" | "statistics";

const OPTIONS = { shift: ["shift_factor"], statistics: ["latents_mean", "latents_std"] } as const;

/** Returns the component without the numbers that diffusers' pipeline ignores. */
export function withLatentNumbers<C extends { config: Record<string, unknown> }>(
  component: C,
  read: LatentNumbers,
): C {
  const kept: readonly string[] = read === "none" ? [] : OPTIONS[read];
  const ignored = Object.values(OPTIONS).flat().filter((option) => !kept.includes(option));
  const config = Object.fromEntries(
    Object.entries(component.config).filter(([option]) => !ignored.some((other) => other === option)),
  );
  return { ...component, config };
}
