// Names that no file can have on Windows.

const DEVICE_NAME = /^(con|prn|aux|nul|com\d|lpt\d)$/i;

/** Returns whether Windows keeps this name for a device, whatever the extension. */
export function isDeviceName(name: string): boolean {
  return DEVICE_NAME.test(name);
}
