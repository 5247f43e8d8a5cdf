import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { EventLog } from "../../../protocol/store/event_log.ts";

async function read(log: EventLog<string>, after: number): Promise<string> {
  let text = "";
  for await (const { event } of log.read(after, new AbortController().signal)) text += event;
  return text;
}

describe("EventLog", () => {
  it("read() begins after an id, whether its event is here already or yet to come", async () => {
    const log = new EventLog<string>(10);
    const early = [read(log, 0), read(log, 10), read(log, 12)];
    for (const event of "abcd") log.append(event);
    const late = [read(log, 0), read(log, 10), read(log, 12)];
    log.close();
    assert.deepEqual(await Promise.all(early), ["abcd", "abcd", "cd"]);
    assert.deepEqual(await Promise.all(late), ["abcd", "abcd", "cd"]);
    assert.deepEqual([log.since(13), await log.next(14)], [[{ id: 14, event: "d" }], []]);
  });

  it("append() leaves out known events; ids may skip", () => {
    const log = new EventLog<string>();
    for (const id of [1, 2, 2, 1, 5, 4]) log.append(String(id), id);
    assert.deepEqual(log.since(0).map(({ event }) => event), ["1", "2", "5"]);
    assert.deepEqual(log.since(3).map(({ id }) => id), [5]);
  });
});
