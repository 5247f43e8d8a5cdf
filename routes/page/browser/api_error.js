// An error that the service reported, in OpenAI's shape: {error: {message, type, param, code}}.

export class ApiError extends Error {
  /**
   * @param {unknown} body The parsed JSON, of whatever shape.
   * @param {number} [status] HTTP status, where the error came before the stream.
   */
  constructor(body, status) {
    const { message, param, code } = errorFields(body);
    super(text(message) ?? `The service answered with status ${status ?? "unknown"}`);
    this.name = "ApiError";
    this.status = status;
    /** The request field that is wrong, e.g. "size" or "spectrum.w". */
    this.param = text(param);
    this.code = text(code);
  }

  /** Reads the error of a failed answer. @param {Response} response */
  static async fromResponse(response) {
    const body = await response.json().catch(() => undefined);
    return new ApiError(body, response.status);
  }
}

/**
 * @param {unknown} body
 * @returns {Record<string, unknown>}
 */
function errorFields(body) {
  const error = typeof body === "object" && body !== null && "error" in body ? body.error : undefined;
  return typeof error === "object" && error !== null ? { ...error } : {};
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" && value !== "" ? value : undefined;
}
