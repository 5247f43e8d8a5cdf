// The error for an execution provider that this machine cannot give; it says what to do about it.

export type ProviderName = "cpu" | "cuda" | "webgpu";

export interface ProviderUnavailableErrorOptions extends ErrorOptions {
  provider: ProviderName;
  /** What makes the provider available. */
  remedy: string;
}

/** Thrown instead of falling back to another provider. */
export class ProviderUnavailableError extends Error {
  override readonly name = "ProviderUnavailableError";
  readonly provider: ProviderName;
  readonly remedy: string;

  constructor(reason: string, { provider, remedy, ...options }: ProviderUnavailableErrorOptions) {
    super(`Cannot use the provider '${provider}': ${reason}. ${remedy}`, options);
    this.provider = provider;
    this.remedy = remedy;
  }
}
