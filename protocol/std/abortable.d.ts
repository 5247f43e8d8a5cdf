// The part of @std/async's abortable that we use. tests/protocol/std/std_test.ts checks these declarations
// against the real behaviour.

/** Settles as `promise` does, or rejects with the signal's reason if that comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T>;
