// Memory and descriptors after a thousand requests of all kinds. Linux only: /proc is what tells.
import { describe, it } from "@std/testing/bdd";
import { assertFlat, footprint } from "./assert_flat.ts";
import { type Service, startService, untilIdle } from "./service.ts";

/** Requests at once. */
const LANES = 8;

/** Returns the id of the process that runs `main` as a descendant of `root`. */
function processOf(main: string, root: number): string {
  for (const entry of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    try {
      const command = Deno.readTextFileSync(`/proc/${entry.name}/cmdline`).split("\0");
      if (command[1] === "run" && command.includes(main) && descends(entry.name, root)) return entry.name;
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
    const processes = ["main.ts", "gpu-worker/main.ts"].map((main) =>
      [main, processOf(main, service.process.pid)] as const
    );
    const measure = () => processes.map(([main, pid]) => footprint(main, pid));
    const thousand = (round: number) =>
      requests(service, { from: 1 + 1000 * round, to: 1001 + 1000 * round });
    await thousand(0);
    // Idle keep-alive connections come and go, one for each lane at most on either side.
    await assertFlat(thousand, { measure, spare: 2 * LANES });
  });
});
