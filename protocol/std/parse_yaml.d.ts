// The part of @std/yaml's parse that we use. tests/protocol/std/std_test.ts checks these declarations
// against the real behaviour.

/** Reads one YAML document. @throws {SyntaxError} if it is none. */
export function parse(content: string): unknown;
