// Memory and descriptors after a thousand requests of all kinds. Linux only: /proc is what tells.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type Service, startService, untilIdle } from "./service.ts";

const MIB = 2 ** 20;

/** Requests at once. */
const LANES = 8;

interface Footprint {
  descriptors: number;
  /** Resident, in bytes. */
  memory: number;
}

/** Returns the footprint of the process that runs `main` as a descendant of `root`. */
function footprint(main: string, root: number): Footprint {
  for (const entry of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    try {
      const command = Deno.readTextFileSync(`/proc/${entry.name}/cmdline`).split("\0");
      if (command[1] !== "run" || !command.includes(main) || !descends(entry.name, root)) continue;
      const status = Deno.readTextFileSync(`/proc/${entry.name}/status`);
      const memory = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) * 1024;
      return { descriptors: [...Deno.readDirSync(`/proc/${entry.name}/fd`)].length, memory };
    } catch (error) {
      // A process that ended while we looked.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new Error(`${main} does not run`);
}

function descends(pid: string, root: number): boolean {
  for (let current = pid; current !== "1" && current !== "0";) {
    if (Number(current) === root) return true;
    current = /^PPid:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${current}/status`))![1]!;
  }
  return false;
}

/** Request number `index`: hits, refusals, lists, pictures, and clients that leave. */
async function request({ url }: Service, index: number): Promise<void> {
  const generate = (body: unknown, signal?: AbortSignal) =>
    fetch(`${url}/v1/images/generations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      ...(signal && { signal }),
    });
  const picture = { prompt: "red heart", seed: 1, steps: 1, spectrum: { method: "none" } };
  if (index % 20 === 0) {
    await (await generate({ ...picture, seed: index })).text();
  } else if (index % 20 === 10) {
    const response = await generate({ ...picture, seed: index, steps: 500, stream: true });
    await response.body!.cancel();
  } else if (index % 5 === 1) {
    await (await generate({ ...picture, steps: -1 })).text();
  } else if (index % 5 === 2) {
    await (await fetch(`${url}/v1/models`)).text();
  } else {
    await (await generate(picture)).text();
  }
}

async function requests(service: Service, { from, to }: { from: number; to: number }): Promise<void> {
  let next = from;
  const lane = async () => {
    while (next < to) await request(service, next++);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await untilIdle(service.workerUrl);
}

describe("steadiness", { skip: Deno.build.os === "linux" ? false : "needs /proc" }, () => {
  it("memory and descriptors are flat after 1,000 requests", async () => {
    await using service = await startService();
    const measure = () =>
      ["main.ts", "gpu-worker/main.ts"].map((main) => ({ main, ...footprint(main, service.process.pid) }));
    await requests(service, { from: 1, to: 1001 });
    const before = measure();
    await requests(service, { from: 1001, to: 2001 });
    const after = measure();
    for (const [index, { main, descriptors, memory }] of after.entries()) {
      const earlier = before[index]!;
      const growth = (memory - earlier.memory) / MIB;
      console.log(
        `${main}: ${earlier.descriptors} -> ${descriptors} descriptors, ${growth.toFixed(1)} MiB more`,
      );
      // Idle keep-alive connections come and go, one for each lane at most on either side.
      assert.ok(descriptors <= earlier.descriptors + 2 * LANES, `${main}: ${descriptors} descriptors`);
      // V8 lets its heap grow before it collects, by 36 MiB here; over 5,000 requests
      // the edge stayed at 173 MiB.
      assert.ok(growth < 64, `${main}: ${growth} MiB more`);
    }
  });
});
