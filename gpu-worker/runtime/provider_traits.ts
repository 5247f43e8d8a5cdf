// The abilities of the execution providers that do not depend on the machine.
import type { ProviderName } from "./provider.ts";
import { AT_ONCE, OneAtATime, type Turns } from "./turns.ts";

/** The abilities of an execution provider. */
export interface ProviderTraits {
  /** Whether a tensor may begin inside another tensor's memory, so that a view needs no copy. */
  readonly hasAddresses: boolean;
  /** The order of native calls on the provider's devices. */
  readonly turns: Turns;
}

export const PROVIDER_TRAITS: Readonly<Record<ProviderName, ProviderTraits>> = {
  cpu: { hasAddresses: true, turns: AT_ONCE },
  cuda: { hasAddresses: true, turns: AT_ONCE },
  // A tensor is a handle of a buffer. All runtimes of a process share one device.
  webgpu: { hasAddresses: false, turns: new OneAtATime() },
};
