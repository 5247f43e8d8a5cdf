// The error for bytes that cannot be decoded as an image.

/** The field of a request that holds an image file. */
export type ImageFieldName = "image" | "mask" | "control_image" | "input_reference" | "last_frame";

export interface ImageErrorOptions extends ErrorOptions {
  /** @default "image" */
  field?: ImageFieldName;
}

export class ImageError extends Error {
  override readonly name = "ImageError";
  readonly field: ImageFieldName;

  /** @param reason completes "Cannot read 'image' as" */
  constructor(reason: string, { field = "image", ...options }: ImageErrorOptions = {}) {
    super(`Cannot read '${field}' as ${reason}`, options);
    this.field = field;
  }
}
