// Tells a process that leaks from one whose heap grows before it is collected.
import assert from "node:assert/strict";

const MIB = 2 ** 20;
/** V8 lets a heap grow by some tens of MiB before it collects. */
const GROWTH = 64 * MIB;
/** A leak grows in every round, a heap only in some. */
const ROUNDS = 4;

export interface Footprint {
  name: string;
  descriptors: number;
  /** Resident, in bytes. */
  memory: number;
}

/** Returns the memory and descriptors of a process. Linux only. */
export function footprint(name: string, pid: number | string): Footprint {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const memory = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) * 1024;
  return { name, descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length, memory };
}

/**
 * Repeats `work` until no process has grown by it.
 * @param spare descriptors that come and go with idle connections
 * @throws {assert.AssertionError} if one grows in each of the rounds
 */
export async function assertFlat(
  work: (round: number) => Promise<void>,
  { measure, spare }: { measure: () => Footprint[]; spare: number },
): Promise<void> {
  let before = measure();
  for (let round = 1;; round++) {
    await work(round);
    const after = measure();
    const grown = after.flatMap(({ name, descriptors, memory }, index) => {
      const earlier = before[index]!;
      const more = memory - earlier.memory;
      const text = `${name}: ${earlier.descriptors} -> ${descriptors} descriptors, ` +
        `${(more / MIB).toFixed(1)} MiB more`;
      console.log(text);
      return descriptors > earlier.descriptors + spare || more >= GROWTH ? [text] : [];
    });
    if (grown.length === 0) return;
    assert.ok(round < ROUNDS, grown.join("\n"));
    before = after;
  }
}
