// Server-sent events from a fetch response (EventSource can only GET): the event stream
// format of the HTML standard.

/** @typedef {{ event: string, data: string, id: string }} SseEvent */

/**
 * Yields each event that has data. Ends with the stream; an event that the stream's end cuts off is dropped.
 *
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<SseEvent, void, void>}
 */
export async function* sseEvents(body) {
  let event = "";
  let id = "";
  /** @type {string[]} */
  let data = [];
  for await (const line of lines(body)) {
    if (line === "") {
      if (data.length > 0) yield { event: event || "message", data: data.join("\n"), id };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id" && !value.includes("\0")) id = value;
  }
}

/**
 * Lines end with LF, CR LF or CR, which may fall between two chunks.
 *
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  /** @type {string[]} */
  let unfinished = [];
  let afterCarriageReturn = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const chunk = afterCarriageReturn && value.startsWith("\n") ? value.slice(1) : value;
      if (value !== "") afterCarriageReturn = value.endsWith("\r");
      const parts = chunk.split(/\r\n|\n|\r/);
      const last = parts.pop() ?? "";
      for (const part of parts) {
        yield unfinished.join("") + part;
        unfinished = [];
      }
      // Pictures make long lines in many chunks: joined once, when the line ends.
      unfinished.push(last);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
