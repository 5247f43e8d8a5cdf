import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import { limitUploads } from "../../../deploy/batches/limit_uploads.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { until } from "../../until.ts";

describe("limitUploads()", () => {
  it("reads a few at once, lets some wait unread, and refuses more with Retry-After", async () => {
    const open: (() => void)[] = [];
    let most = 0;
    const app = new Hono();
    app.use("/files", limitUploads({ atOnce: 2, waiting: 3 }));
    app.post("/files", async (c) => {
      const gate = Promise.withResolvers<void>();
      open.push(gate.resolve);
      most = Math.max(most, open.length);
      await gate.promise;
      if (c.req.query("fails") !== undefined) throw new Error("fails");
      return c.text("read");
    });
    app.get("/files", (c) => c.text("listed"));
    app.onError((cause) => ApiError.from(cause).toResponse());
    const uploads = Array.from(
      { length: 5 },
      (_, index) => app.request(`/files${index === 0 ? "?fails" : ""}`, { method: "POST" }),
    );
    const refused = await app.request("/files", { method: "POST" });
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "5"]);
    assert.equal((await app.request("/files")).status, 200);
    let done = 0;
    const answers = uploads.map(async (upload) => {
      const { status } = await upload;
      done++;
      return status;
    });
    // One after another: each end lets the next one in.
    await until(() => {
      open.shift()?.();
      return done === 5;
    }, { every: 0 });
    assert.equal(most, 2);
    assert.deepEqual((await Promise.all(answers)).sort(), [200, 200, 200, 200, 500]);
    const next = app.request("/files", { method: "POST" });
    open.shift()!();
    assert.equal((await next).status, 200);
  });
});
