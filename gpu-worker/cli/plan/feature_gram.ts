// Averages the scalar products of recorded features over runs.
// The search for step plans needs nothing else of the features.
export class FeatureGram {
  readonly #steps: number;
  readonly #sum: Float64Array;
  #runs = 0;

  constructor(steps: number) {
    this.#steps = steps;
    this.#sum = new Float64Array(steps ** 2);
  }

  /**
   * Adds one run.
   * @param features the run's features, [steps, features]
   */
  add(features: Float32Array): void {
    const steps = this.#steps;
    const length = features.length / steps;
    for (let a = 0; a < steps; a++) {
      for (let b = 0; b <= a; b++) {
        let product = 0;
        for (let i = 0; i < length; i++) product += features[a * length + i]! * features[b * length + i]!;
        this.#sum[a * steps + b]! += product;
        if (a !== b) this.#sum[b * steps + a]! += product;
      }
    }
    this.#runs++;
  }

  /** Returns the mean scalar products, float64 [steps, steps]. */
  mean(): Float64Array {
    return this.#sum.map((value) => value / this.#runs);
  }
}
