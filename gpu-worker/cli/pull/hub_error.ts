// The error for what the Hugging Face hub, or the way to it, refuses.

export interface HubErrorOptions extends ErrorOptions {
  /** The same request may succeed in a moment: the connection broke, or the hub is overloaded. @default false */
  transient?: boolean;
}

export class HubError extends Error {
  override readonly name = "HubError";
  readonly transient: boolean;

  constructor(message: string, { transient = false, ...options }: HubErrorOptions = {}) {
    super(message, options);
    this.transient = transient;
  }
}
