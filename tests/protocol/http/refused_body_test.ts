// Most clients send a whole body before they read. The runtime reads on what was
// refused, so that they learn why.
import { describe, it } from "@std/testing/bdd";
import { Hono } from "hono";
import assert from "node:assert/strict";
import { handleError } from "../../../protocol/http/handle_error.ts";
import { readBody } from "../../../protocol/http/read_body.ts";
import { readForm } from "../../../protocol/http/read_form.ts";

/** More than the buffers of a connection hold. */
const BYTES = 24 * 2 ** 20;
const PIECE = 65536;

describe("a body that is refused", () => {
  const cases = {
    "is too long": { path: "/body", length: BYTES },
    "gets too long": { path: "/body", length: undefined },
    "is no form": { path: "/form", length: BYTES },
    "nobody reads": { path: "/nowhere", length: BYTES },
  };
  for (const [name, sent] of Object.entries(cases)) {
    it(`tells a client that sends all before it reads: ${name}`, async () => {
      await using server = serve();
      const answer = await sendAll(server.port, sent);
      assert.match(answer, /^HTTP\/1.1 4(13|00|04) /);
      assert.match(answer, /"error"/);
    });
  }
});

function serve() {
  const app = new Hono();
  app.post("/body", async (c) => c.text(String((await readBody(c.req.raw)).length)));
  app.post(
    "/form",
    async (c) => c.text(String([...await readForm(c.req.raw, { maxBytes: 2 * BYTES })].length)),
  );
  app.notFound((c) => c.json({ error: "not found" }, 404));
  app.onError(handleError({ log: () => {} }));
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, app.fetch);
  return { port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** Writes a request without a pause, as Python's http.client does. Rejects where the connection is reset. */
async function sendAll(
  port: number,
  { path, length }: { path: string; length: number | undefined },
): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const encoder = new TextEncoder();
  const framing = length === undefined ? "transfer-encoding: chunked" : `content-length: ${length}`;
  const type = "content-type: multipart/form-data; boundary=b";
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${type}\r\n${framing}\r\n\r\n`;
  await writeAll(connection, encoder.encode(head));
  const [before, after, end] = length === undefined
    ? [`${PIECE.toString(16)}\r\n`, "\r\n", "0\r\n\r\n"]
    : ["", "", ""];
  const piece = encoder.encode(before + "\0".repeat(PIECE) + after);
  for (let left = BYTES; left > 0; left -= PIECE) await writeAll(connection, piece);
  await writeAll(connection, encoder.encode(end));
  return await new Response(connection.readable).text();
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}
