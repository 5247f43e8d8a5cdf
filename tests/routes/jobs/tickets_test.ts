import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import { handleError } from "../../../protocol/http/handle_error.ts";
import { admitTicket, Tickets } from "../../../routes/jobs/tickets.ts";
import { KeyDirectory } from "../../../routes/keys/key_directory.ts";
import { KeyLimits } from "../../../routes/keys/key_limits.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import type { Environment } from "../../../routes/middleware/environment.ts";
import { MemoryStateStore } from "../../../routes/state/memory_state_store.ts";
import { drawTestKey } from "../keys/key.ts";

function start() {
  const clock = { now: 0 };
  const store = new MemoryKeyStore();
  const log = () => {};
  const tickets = new Tickets({ state: new MemoryStateStore() });
  const directory = new KeyDirectory({ store, log, now: () => clock.now });
  const limits = new KeyLimits({ store, log });
  const app = new Hono<Environment>();
  app.use("/jobs/:id/events", admitTicket({ tickets, directory, limits }));
  app.get("/jobs/:id/events", (c) => c.text(`${c.get("tenant")}`));
  app.onError(handleError({ log }));
  const read = async (ticket: string) => {
    const answer = await app.request(`/jobs/job_1/events?ticket=${ticket}`);
    return answer.ok ? await answer.text() : (await answer.json()).error.code;
  };
  return { clock, store, tickets, read };
}

describe("admitTicket()", () => {
  it("a ticket ends with the key that asked for it", async () => {
    const { clock, store, tickets, read } = start();
    const { record } = await drawTestKey();
    await store.add(record);
    const ticket = await tickets.issue({ id: "job_1", tenant: record.id });
    assert.equal(await read(ticket), record.id);
    await store.revoke(record.id, new Date());
    clock.now = 30_000;
    assert.equal(await read(ticket), "revoked_api_key");
  });

  it("reading with a ticket counts as a request of its key", async () => {
    const { store, tickets, read } = start();
    const { record } = await drawTestKey({ requests_per_minute: 2 });
    await store.add(record);
    const ticket = await tickets.issue({ id: "job_1", tenant: record.id });
    const answers = [await read(ticket), await read(ticket), await read(ticket)];
    assert.deepEqual(answers, [record.id, record.id, "rate_limit_exceeded"]);
  });

  it("tickets of plain keys and local programs need no record", async () => {
    const { tickets, read } = start();
    for (const tenant of ["local", "plain-0123456789abcdef"]) {
      assert.equal(await read(await tickets.issue({ id: "job_1", tenant })), tenant);
    }
  });
});
