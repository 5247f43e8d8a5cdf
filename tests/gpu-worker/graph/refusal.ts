// What a graph's builder does not take, and that it says so by name.
import { it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";

export type RefusedOption = [option: string, value: unknown, message: RegExp];

/**
 * A case for each of the options.
 * @param build with a config that is good but for the options it is given
 */
export function refusalCases(
  refused: readonly RefusedOption[],
  build: (changes: Record<string, unknown>) => unknown,
): void {
  for (const [option, value, message] of refused) {
    it(`refuses ${option} ${JSON.stringify(value)} by name`, () => {
      assertRefused(() => build({ [option]: value }), message);
    });
  }
}

export function assertRefused(build: () => unknown, message: RegExp): void {
  assert.throws(build, (error) => error instanceof CheckpointError && message.test(error.message));
}
