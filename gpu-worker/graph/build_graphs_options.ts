// Options of everything that builds a checkpoint's graphs.
import type { ProviderName } from "../runtime/provider.ts";

export interface BuildGraphsOptions {
  /** The device that the graphs are for. @default any */
  provider?: ProviderName | undefined;
}
