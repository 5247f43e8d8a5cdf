// Errors in OpenAI's shape, {"error": {message, type, param, code}}: the only ones that leave a process.

/** The body of every refusal, and the data of an `error` event. */
export interface ApiErrorBody {
  error: {
    message: string;
    type: string;
    /** The request field at fault, as the client spelled it: "spectrum.w". */
    param: string | null;
    /** Stable and machine-readable: "model_not_found". */
    code: string | null;
  };
}

export interface ApiErrorOptions {
  param?: string;
  code?: string;
  /** Seconds for the Retry-After header. */
  retryAfter?: number;
  /** Other headers of the answer. */
  headers?: Record<string, string>;
  cause?: unknown;
}

/** A refusal whose message may be shown to any client. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status, 4xx or 5xx. */
  readonly status: number;
  readonly param: string | undefined;
  readonly code: string | undefined;
  readonly retryAfter: number | undefined;
  readonly #headers: Record<string, string>;

  constructor(status: number, message: string, options: ApiErrorOptions = {}) {
    // An excerpt of what was sent may end within a character.
    super(message.toWellFormed(), { cause: options.cause });
    this.status = status;
    this.param = options.param?.toWellFormed();
    this.code = options.code;
    this.retryAfter = options.retryAfter;
    this.#headers = options.headers ?? {};
  }

  /** Returns the body for the client. The cause stays here. */
  toBody(): ApiErrorBody {
    const { status, message, param = null, code = null } = this;
    return { error: { message, type: errorType(status), param, code } };
  }

  headers(): Headers {
    const headers = new Headers();
    if (this.retryAfter !== undefined) headers.set("retry-after", String(this.retryAfter));
    if (this.status === 401) headers.set("www-authenticate", "Bearer");
    for (const [name, value] of Object.entries(this.#headers)) headers.set(name, value);
    return headers;
  }

  toResponse(): Response {
    return Response.json(this.toBody(), { status: this.status, headers: this.headers() });
  }

  /** Returns a thrown value as an ApiError. Other errors become a 500 that says nothing of their cause. */
  static from(cause: unknown): ApiError {
    return cause instanceof ApiError
      ? cause
      : new ApiError(500, "The server failed to answer this request", { code: "internal_error", cause });
  }
}

/** OpenAI's names. */
function errorType(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}
