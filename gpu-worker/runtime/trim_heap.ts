// Gives memory that was freed back to the system. glibc keeps freed weights in its heap, where the next model's cannot use
// them (they are mapped): loading one after the other would take as much as all together.

const symbols = { malloc_trim: { parameters: ["usize"], result: "i32" } } as const;

let library: Deno.DynamicLibrary<typeof symbols> | null | undefined;

/** Does nothing where the C library is not glibc. */
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
