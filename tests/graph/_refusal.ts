// What a graph's builder does not take, and that it says so by name.
import { it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { CheckpointError } from "../../gpu-worker/graph/weights/checkpoint_error.ts";
import { type Component, component } from "./_component.ts";

export type RefusedOption = [option: string, value: unknown, message: RegExp];

export interface RefusalCasesOptions {
  /** Of the component that is taken as it is. */
  folder: string;
  build: (changed: Component) => unknown;
}

/** A case for each option: the component with that value alone changed. */
export function refusalCases(
  refused: readonly RefusedOption[],
  { folder, build }: RefusalCasesOptions,
): void {
  for (const [option, value, message] of refused) {
    it(`refuses ${option} ${JSON.stringify(value)} by name`, () => {
      const { config, weights } = component(folder);
      assertRefused(() => build({ config: { ...config, [option]: value }, weights }), message);
    });
  }
}

export function assertRefused(build: () => unknown, message: RegExp): void {
  assert.throws(build, (error) => error instanceof CheckpointError && message.test(error.message));
}
