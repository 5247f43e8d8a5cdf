// Strings in C's form: UTF-8 that ends in a NUL.

/** Returns a NUL-terminated UTF-8 string for C. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** Returns a NUL-terminated path for C. ORTCHAR_T is UTF-16 on Windows. */
export function cPath(path: string): Uint8Array<ArrayBuffer> {
  if (Deno.build.os !== "windows") return cString(path);
  return new Uint8Array(Uint16Array.from(`${path}\0`, (char) => char.charCodeAt(0)).buffer);
}

/** Reads the string at `address`. Its owner stays the same. */
export function readCString(address: bigint): string {
  return Deno.UnsafePointerView.getCString(Deno.UnsafePointer.create(address)!);
}
