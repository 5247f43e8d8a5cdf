// The error for an execution provider that this machine cannot give; it says what to do about it.
import type { ProviderName } from "./provider.ts";

/** Options of {@linkcode ProviderUnavailableError}. */
export interface ProviderUnavailableErrorOptions extends ErrorOptions {
  /** Provider that was asked for. */
  provider: ProviderName;
  /** What makes the provider available. */
  remedy: string;
}

/** Thrown instead of falling back to another provider. */
export class ProviderUnavailableError extends Error {
  /** "ProviderUnavailableError" */
  override readonly name = "ProviderUnavailableError";
  /** Provider that was asked for. */
  readonly provider: ProviderName;
  /** What makes the provider available. */
  readonly remedy: string;

  /** Words `reason` and the remedy as one message. */
  constructor(reason: string, { provider, remedy, ...options }: ProviderUnavailableErrorOptions) {
    super(`Cannot use the provider '${provider}': ${reason}. ${remedy}`, options);
    this.provider = provider;
    this.remedy = remedy;
  }
}
