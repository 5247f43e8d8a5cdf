// Returns freed memory to the system. glibc keeps freed weights in its heap, where the next
// model's weights (which are mapped) cannot use the memory. Loading models in turn would otherwise
// need as much memory as all together.

const symbols = { malloc_trim: { parameters: ["usize"], result: "i32" } } as const;

let library: Deno.DynamicLibrary<typeof symbols> | null | undefined;

/** Returns freed memory to the system. Does nothing if the C library is not glibc. */
export function trimHeap(): void {
  library ??= open();
  library?.symbols.malloc_trim(0n);
}

function open(): Deno.DynamicLibrary<typeof symbols> | null {
  if (Deno.build.os !== "linux") return null;
  try {
    return Deno.dlopen("libc.so.6", symbols);
  } catch {
    return null; // musl
  }
}
