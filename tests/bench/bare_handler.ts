// The least that a Hono server can do for a request: read it, return $BODY. The yardstick of edge_bench.ts.
import { Hono } from "hono";

if (Deno.args.length > 0) {
  console.log(
    "Usage: BODY=TEXT deno task bench:bare\n\nAnswers each request with $BODY. bench:edge starts it.",
  );
  Deno.exit(0);
}
const body = Deno.env.get("BODY")!;
const app = new Hono();
app.post("/", async (c) => {
  await c.req.text();
  return c.body(body, 200, { "content-type": "application/json" });
});
Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`bare handler at http://127.0.0.1:${port}/`),
}, app.fetch);
