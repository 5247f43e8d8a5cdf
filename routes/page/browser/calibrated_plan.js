// Which steps of a calibrated model's run will be full: the browser's copy of
// sampler/calibration/choose_plan.ts, to show a plan before it runs.
// tests/routes/page/calibrated_plan_test.ts holds the two together.

/** @typedef {{ fullSteps: readonly number[], psnr: number }} MeasuredPlan */
/** @typedef {Record<string, Record<string, MeasuredPlan>>} MeasuredPlans Steps -> full passes -> plan. */
/**
 * @typedef {{ steps: number, skipped: number }} PlannedSteps Of the whole schedule; of it,
 * what an image leaves out.
 */

/**
 * Returns the plans of a model card.
 *
 * @param {import("./wire.d.ts").Model["calibration"]} calibration
 * @returns {MeasuredPlans | undefined}
 */
export function measuredPlans(calibration) {
  if (calibration?.full_steps === undefined) return undefined;
  return mapValues(calibration.full_steps, (plans, steps) =>
    mapValues(plans, (fullSteps, passes) => {
      return { fullSteps, psnr: calibration.psnr[steps]?.[passes] ?? 0 };
    }));
}

/**
 * Returns the full steps of a run with exactly `passes` full passes.
 *
 * @param {MeasuredPlans} plans
 * @param {number} passes
 * @param {PlannedSteps} run
 * @returns {number[]}
 */
export function planOfPasses(plans, passes, { steps, skipped }) {
  const candidates = measuredFor(plans, steps).map(({ of, plan }) =>
    stretch(plan.fullSteps, { of, steps, skipped })
  );
  const smaller = candidates.findLast(({ length }) => length <= passes);
  const count = Math.min(passes, steps - skipped);
  return smaller
    ? fill(smaller, { passes: count, steps: steps - skipped })
    : thin(candidates[0] ?? [0], passes);
}

/**
 * Returns the plan of the fewest full passes that has reached `psnr`, or the plan that has reached most.
 *
 * @param {MeasuredPlans} plans
 * @param {number} psnr
 * @param {PlannedSteps} run
 * @returns {number[]}
 */
export function planOfQuality(plans, psnr, { steps, skipped }) {
  const measured = measuredFor(plans, steps);
  const best = measured.reduce((a, b) => b.plan.psnr > a.plan.psnr ? b : a);
  const { of, plan } = measured.find(({ plan }) => plan.psnr >= psnr) ?? best;
  return stretch(plan.fullSteps, { of, steps, skipped });
}

/**
 * Returns the plan that the run of all steps has for `passes`, without the steps that an image leaves out.
 *
 * @param {MeasuredPlans} plans
 * @param {number} passes
 * @param {PlannedSteps} run
 * @returns {number[]}
 */
export function planOfWhole(plans, passes, { steps, skipped }) {
  return stretch(planOfPasses(plans, passes, { steps, skipped: 0 }), { of: steps, steps, skipped });
}

/**
 * @param {MeasuredPlans} plans
 * @param {number} steps
 * @returns {{ of: number, plan: MeasuredPlan }[]}
 */
function measuredFor(plans, steps) {
  const distance = (/** @type {number} */ of) => Math.abs(Math.log(of / steps));
  const of = Object.keys(plans).map(Number).reduce((a, b) => distance(b) < distance(a) ? b : a);
  return Object.values(plans[of] ?? {}).map((plan) => ({ of, plan }))
    .sort((a, b) => a.plan.fullSteps.length - b.plan.fullSteps.length);
}

/**
 * @param {readonly number[]} fullSteps
 * @param {PlannedSteps & { of: number }} run
 */
function stretch(fullSteps, { of, steps, skipped }) {
  const moved = fullSteps.map((step) => Math.round(step * steps / of) - skipped)
    .filter((step) => step > 0 && step < steps - skipped);
  return [...new Set([0, ...moved])];
}

/**
 * @param {readonly number[]} fullSteps
 * @param {number} passes
 */
function thin(fullSteps, passes) {
  return Array.from(
    { length: passes },
    (_, i) => fullSteps[Math.floor(i * fullSteps.length / passes)] ?? 0,
  );
}

/**
 * @param {readonly number[]} fullSteps
 * @param {{ passes: number, steps: number }} options
 */
function fill(fullSteps, { passes, steps }) {
  const filled = [...fullSteps];
  while (filled.length < passes) {
    const gaps = filled.map((step, i) => (filled[i + 1] ?? steps) - step);
    const gap = Math.max(...gaps);
    const longest = gaps.indexOf(gap);
    filled.splice(longest + 1, 0, (filled[longest] ?? 0) + Math.floor(gap / 2));
  }
  return filled;
}

/**
 * @template T, U
 * @param {Record<string, T>} record
 * @param {(value: T, key: string) => U} change
 * @returns {Record<string, U>}
 */
function mapValues(record, change) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]));
}
