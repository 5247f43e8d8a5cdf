// A file of requests is read in slices, and not beyond what decides over it.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { scanRequests } from "../../../deploy/batches/scan_requests.ts";
import { MAX_BATCH_ERRORS, MAX_BATCH_REQUESTS } from "../../../protocol/wire/batch.ts";
import { requestLine, toBytes } from "./open_batches.ts";

/** Reads with a count of the turns that other work had. */
async function scan(text: string) {
  let pauses = 0;
  const found = await scanRequests(toBytes(text), { pause: () => Promise.resolve(pauses++) });
  return { ...found, pauses };
}

describe("scanRequests", () => {
  it("finds requests, places and pictures between empty lines and any line ends", async () => {
    const lines = [requestLine("é", { n: 3 }), requestLine("2"), requestLine("3", { n: 1e300 })];
    const text = `\n${lines[0]}\r\n  \n${lines[1]}\n${lines[2]}`;
    const { errors, total, pictures, lines: places } = await scan(text);
    assert.deepEqual([errors, total, pictures], [[], 3, 14]);
    const bytes = toBytes(text);
    const view = new DataView(places.buffer);
    const found = lines.map((_, index) => {
      const start = view.getUint32(8 * index, true);
      return new TextDecoder().decode(bytes.subarray(start, start + view.getUint32(8 * index + 4, true)));
    });
    assert.deepEqual(found.map((line) => line.trim()), lines);
  });

  for (const bad of ["{}", "a", '{"custom_id":1}', "[".repeat(1000), "\0"]) {
    it(`stops at the hundredth line like ${bad.slice(0, 20)}, of a million`, async () => {
      const { errors, pauses } = await scan(`${bad}\n`.repeat(2000));
      assert.equal(errors.length, MAX_BATCH_ERRORS);
      assert.equal(errors.at(-1)!.line, MAX_BATCH_ERRORS);
      assert.ok(pauses <= 3, `${pauses} slices`);
    });
  }

  it("refuses lines in another encoding, by number, and takes a byte order mark", async () => {
    const latin1 = Uint8Array.from(requestLine("2", { prompt: "café" }), (letter) => letter.charCodeAt(0));
    const bytes = Uint8Array.of(...toBytes(`\ufeff${requestLine("1")}\n`), ...latin1);
    const { errors, total, lines } = await scanRequests(bytes);
    assert.deepEqual([total, errors.length, errors[0]!.line], [1, 1, 2]);
    assert.equal(new DataView(lines.buffer).getUint32(0, true), 3, "the mark is no part of the request");
    assert.match(errors[0]!.message, /must be text in UTF-8/);
  });

  it("stops at one request too many, and reads nothing behind it", async () => {
    const lines = Array.from({ length: MAX_BATCH_REQUESTS }, (_, index) => requestLine(String(index)));
    const all = await scan(lines.join("\n"));
    assert.deepEqual([all.errors, all.total], [[], MAX_BATCH_REQUESTS]);
    const { errors } = await scan(`${lines.join("\n")}\n${"{}\n".repeat(10)}`);
    assert.deepEqual(errors.map(({ code }) => code), ["too_many_requests"]);
  });

  it("lets other work go on: after some requests, after a large one, within emptiness", async () => {
    const many = Array.from({ length: 500 }, (_, index) => requestLine(String(index))).join("\n");
    assert.ok((await scan(many)).pauses >= 10);
    const large = Array.from(
      { length: 5 },
      (_, index) => requestLine(`${index}`, { user: "x".repeat(70_000) }),
    );
    assert.equal((await scan(large.join("\n"))).pauses, 5);
    assert.ok((await scan("\n".repeat(5 * 2 ** 20))).pauses >= 4);
  });

  it("does not parse a line that no endpoint would read", async () => {
    const { errors } = await scan(requestLine("1", { prompt: "x".repeat(300_000) }));
    assert.match(errors[0]!.message, /at most 262144 bytes/);
  });

  it("says which lines are wrong, and why", async () => {
    const { errors } = await scan([
      requestLine("a"),
      requestLine("a"),
      requestLine("c", { stream: true }),
      requestLine("d", { background: true }),
      requestLine("e").replace("/images/generations", "/videos"),
    ].join("\n"));
    assert.equal(
      errors.at(-1)!.message,
      "url: must be /v1/images/generations: batches make pictures. Try POST /v1/videos for a video.",
    );
    assert.deepEqual(errors.map(({ line, code }) => [line, code]), [
      [2, "duplicate_custom_id"],
      [3, "invalid_request"],
      [4, "invalid_request"],
      [5, "invalid_request"],
    ]);
    assert.equal((await scan("\n \n")).errors[0]!.code, "empty_file");
  });
});
