// The error for bytes that cannot be decoded as an image.

export class ImageError extends Error {
  override readonly name = "ImageError";

  /** @param reason completes "Cannot read 'image' as" */
  constructor(reason: string, options?: ErrorOptions) {
    super(`Cannot read 'image' as ${reason}`, options);
  }
}
