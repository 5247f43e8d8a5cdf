// The error for an execution provider that is unavailable on this machine. It says what to do.
import type { ProviderName } from "./provider.ts";

/** Options of {@linkcode ProviderUnavailableError}. */
export interface ProviderUnavailableErrorOptions extends ErrorOptions {
  /** The requested provider. */
  provider: ProviderName;
  /** How to make the provider available. */
  remedy: string;
}

/** Thrown instead of falling back to another provider. */
export class ProviderUnavailableError extends Error {
  /** "ProviderUnavailableError" */
  override readonly name = "ProviderUnavailableError";
  /** The requested provider. */
  readonly provider: ProviderName;
  /** How to make the provider available. */
  readonly remedy: string;

  /** Creates an error whose message has the reason and the remedy. */
  constructor(reason: string, { provider, remedy, ...options }: ProviderUnavailableErrorOptions) {
    super(`Cannot use the provider '${provider}': ${reason}. ${remedy}`, options);
    this.provider = provider;
    this.remedy = remedy;
  }
}
