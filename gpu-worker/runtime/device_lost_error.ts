// The error for a device that is gone: its driver was reset, its memory ran out, or its card was removed.

/**
 * Thrown by runs and loads on a lost device. A device that is opened after all users of this one may work.
 */
export class DeviceLostError extends Error {
  /** "DeviceLostError" */
  override readonly name = "DeviceLostError";

  /** Returns whether ONNX Runtime's message means that WebGPU has lost its device. */
  static isMeantBy(message: string): boolean {
    return /\bdevice (is |was )?lost\b|\bDeviceLost\b|\[Device[^\]]*\] is lost/i.test(message);
  }
}
