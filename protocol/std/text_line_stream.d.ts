// The part of @std/streams' TextLineStream that we use. tests/protocol/std/std_test.ts checks these
// declarations against the real behaviour.

/** Turns chunks of text into lines, without their ends: "\n" or "\r\n". */
export class TextLineStream extends TransformStream<string, string> {
  constructor();
}
