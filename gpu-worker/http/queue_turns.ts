// Shares a queue among owners: whose run is next, and how many runs an owner may have waiting.
import type { RunRequest } from "../../protocol/wire/run_request.ts";
import type { Run } from "./run.ts";

type Owned = Pick<RunRequest, "owner" | "background">;

/**
 * Puts runs in the order in which flows take turns. A flow is the jobs of one owner, or its other runs. Each
 * run gets the number of its round when it comes: the round that is being served, or the one after its flow's
 * last. So one flow alone is served in its order, and a flow that had nothing waiting never waits for more
 * than one run, or batch, of each other flow.
 */
export class QueueTurns {
  readonly #rounds = new WeakMap<Run, number>();
  /** The newest round in which a run of a flow has begun. */
  readonly #begun = new Map<string, number>();
  /** The round that is being served. */
  #round = 0;

  /** Returns `waiting` with `run` in its place. */
  insert(run: Run, waiting: readonly Run[]): Run[] {
    const flow = flowOf(run.request);
    const before = waiting.filter(({ request }) => flowOf(request) === flow).map((other) =>
      this.#roundOf(other)
    );
    const round = Math.max(this.#round, 1 + Math.max(this.#begun.get(flow) ?? -1, ...before));
    this.#rounds.set(run, round);
    const index = waiting.findIndex((other) => this.#roundOf(other) > round);
    return waiting.toSpliced(index === -1 ? waiting.length : index, 0, run);
  }

  /** Notes that the first of `runs` has had its turn and taken the others along. */
  begin(runs: readonly Run[]): void {
    this.#round = Math.max(this.#round, this.#roundOf(runs[0]!));
    for (const run of runs) {
      const flow = flowOf(run.request);
      this.#begun.set(flow, Math.max(this.#roundOf(run), this.#begun.get(flow) ?? 0));
    }
    for (const [flow, round] of this.#begun) if (round < this.#round) this.#begun.delete(flow);
  }

  #roundOf(run: Run): number {
    return this.#rounds.get(run) ?? 0;
  }
}

/**
 * Returns how many runs of this kind an owner has waiting, and the most that it may have: as many as there
 * are free places, and half as many jobs. So half of the queue is left where one owner fills its share, a
 * third where two do, and an owner who comes finds room. Without keys there is one owner: its jobs leave room
 * for its other runs, which have no limit.
 */
export function shareOf(
  request: Owned,
  { waiting, capacity }: { waiting: readonly Run[]; capacity: number },
): { held: number; most: number } {
  const flow = flowOf(request);
  const held = waiting.filter((other) => flowOf(other.request) === flow).length;
  const free = capacity - waiting.length;
  if (request.background) return { held, most: free / 2 };
  return { held, most: request.owner === undefined ? Infinity : free };
}

function flowOf({ owner = "", background }: Owned): string {
  return `${owner} ${background}`;
}
