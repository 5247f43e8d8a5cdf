// What we use of @std/streams' TextLineStream. tests/std/std_test.ts holds these declarations against the real behaviour.

/** Turns chunks of text into lines, without their ends: "\n" or "\r\n". */
export class TextLineStream extends TransformStream<string, string> {
  constructor();
}
