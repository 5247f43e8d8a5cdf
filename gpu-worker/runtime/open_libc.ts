// Opens the C library, for calls that Deno lacks.

/** Returns glibc with these functions, or undefined on a system without it. */
export function openLibc<Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): Deno.DynamicLibrary<Symbols> | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    return Deno.dlopen("libc.so.6", symbols);
  } catch {
    return undefined; // musl
  }
}

/** Returns a function that opens glibc as `openLibc` does when it is first called, and keeps it open. */
export function keptLibc<Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): () => Deno.DynamicLibrary<Symbols> | undefined {
  let library: { opened: Deno.DynamicLibrary<Symbols> | undefined } | undefined;
  return () => (library ??= { opened: openLibc(symbols) }).opened;
}
