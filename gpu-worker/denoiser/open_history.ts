// Chooses the history's form by what the runtime can do.
import type { Runtime } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import { BlockHistory } from "./block_history.ts";
import type { FeatureHistory, FeatureHistoryOptions } from "./feature_history.ts";
import { SeparateHistory } from "./separate_history.ts";

/**
 * Opens an empty history.
 * @param featureSum the graph `featureSum`, for runtimes without addresses
 * @throws {TypeError} if the runtime has no addresses and `featureSum` is missing.
 */
export function openHistory(
  runtime: Runtime,
  { featureSum, ...options }: FeatureHistoryOptions & { featureSum: GraphSession | undefined },
): FeatureHistory {
  if (runtime.traits.hasAddresses) return new BlockHistory(runtime, options);
  if (featureSum !== undefined) return new SeparateHistory(runtime, { ...options, featureSum });
  throw new TypeError(`Cannot keep features on ${runtime.provider} as the graph featureSum is not loaded`);
}
