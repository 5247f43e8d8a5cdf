// What we use of @std/yaml's parse. tests/std/std_test.ts holds these declarations against the real behaviour.

/** Reads one YAML document. @throws {SyntaxError} if it is none. */
export function parse(content: string): unknown;
