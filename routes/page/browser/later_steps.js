// How many steps run after an image: the browser's copy of request/start_image.ts, to show a plan before it
// runs. tests/routes/page/later_steps_test.ts holds the two together.

/**
 * Counts the steps that run after an image.
 *
 * @param {number} steps Of the whole schedule.
 * @param {{ strength: number, partialStep: "run" | "skip" }} options
 */
export function countLaterSteps(steps, { strength, partialStep }) {
  const asked = Math.min(steps * strength, steps);
  return partialStep === "run" ? steps - Math.trunc(steps - asked) : Math.trunc(asked);
}
