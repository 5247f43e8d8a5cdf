// Random kills and stops of every process under mixed load, with a ledger of every promise that was given.
// CHAOS_SECONDS and CHAOS_SEED change how long and in which order.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { until } from "../until.ts";
import { WITHOUT_REDIS } from "../service/redis.ts";
import { type Fault, type Lab, type Machine, startLab } from "./chaos_lab.ts";
import { Ledger } from "./chaos_ledger.ts";

const SECONDS = Number(Deno.env.get("CHAOS_SECONDS") ?? 75);
const SEED = Number(Deno.env.get("CHAOS_SEED") ?? 1);
/**
 * The parts of the store of keys. While it is away for more than ten seconds an edge that dies loses
 * counts (docs/security.md).
 */
const STORE = ["redis", "rest"];
/** Processes that are dead or stopped at a time. */
const MOST_AT_ONCE = 2;

describe("chaos", { skip: WITHOUT_REDIS }, () => {
  let lab: Lab;
  before(async () => void (lab = await startLab()));
  after(() => lab[Symbol.asyncDispose]());

  it("keeps every promise and does nothing twice while processes are killed and stopped", async () => {
    const random = seeded(SEED);
    const ledger = new Ledger(lab, random);
    const clients = ledger.open();
    const faults = await wreak(lab.machines, { random, ms: SECONDS * 1000 });
    ledger.close();
    await Promise.all(clients);
    console.log("faults", faults);
    // Leases of half a minute end before the last pictures are given back.
    const reckoned = await until(async () => {
      const reckoning = await ledger.reckon();
      return reckoning.open === 0 && reckoning.counted === reckoning.delivered && reckoning;
    }, { within: 70_000, every: 1000 }).catch(() => ledger.reckon());
    console.log(reckoned);
    assert.deepEqual([...ledger.broken], []);
    assert.equal(reckoned.open, 0, "what was promised has come to its end");
    assert.equal(reckoned.counted, reckoned.delivered, "counted pictures are those that were delivered");
    assert.ok(reckoned.delivered > SECONDS / 2, "there was something to keep");
  });
});

/** Kills and stops machines, and has each of them back a few seconds later. Resolves when all are back. */
async function wreak(
  machines: readonly Machine[],
  { random, ms }: { random: () => number; ms: number },
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const ailing = new Map<Machine, Promise<void>>();
  const end = Date.now() + ms;
  while (Date.now() < end) {
    await sleep(1000 + 2500 * random());
    const machine = machines[Math.floor(random() * machines.length)]!;
    const fault: Fault = random() < 0.5 ? "kill" : "stop";
    const ailMs = (fault === "kill" ? 300 : 1000) + random() * (fault === "kill" ? 3000 : 7500);
    const isStore = STORE.includes(machine.kind);
    const isAway = isStore && [...ailing.keys()].some(({ kind }) => STORE.includes(kind));
    if (ailing.has(machine) || isAway || ailing.size >= MOST_AT_ONCE) continue;
    const name = `${fault} ${machine.kind}`;
    counts[name] = (counts[name] ?? 0) + 1;
    ailing.set(
      machine,
      machine.ail(fault, isStore ? Math.min(ailMs, 5000) : ailMs).finally(() => ailing.delete(machine)),
    );
  }
  await Promise.all(ailing.values());
  return counts;
}

/** Mulberry32: the same order of faults for the same seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let value = Math.imul(state ^ state >>> 15, state | 1);
    value ^= value + Math.imul(value ^ value >>> 7, value | 61);
    return ((value ^ value >>> 14) >>> 0) / 2 ** 32;
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
