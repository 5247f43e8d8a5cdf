// A real worker with the embedded checkpoint, asked as an edge asks it.
import type { RunEvent } from "../../protocol/wire/run_event.ts";
import type { OpenRunRequest } from "../../protocol/wire/run_request.ts";
import { WorkerClient } from "../../routes/runs/worker_client.ts";
import { startTask } from "./service.ts";

export class RealWorker implements AsyncDisposable {
  readonly url: string;
  readonly client: WorkerClient;
  readonly #task: AsyncDisposable;

  private constructor(url: string, task: AsyncDisposable) {
    this.url = url;
    this.client = new WorkerClient({ url });
    this.#task = task;
  }

  /** @param args options of `deno task worker` */
  static async start(args: readonly string[]): Promise<RealWorker> {
    const task = await startTask("worker", {
      args: ["--port", "0", ...args],
      until: /"message":"listening","url":"([^"]+)"/,
    });
    return new RealWorker(task.found, task);
  }

  submit(seed: number, fields: Partial<OpenRunRequest> = {}): ReturnType<WorkerClient["submit"]> {
    return this.client.submit({ model: "models/emoji", prompt: "a crab", seed, ...fields });
  }

  /** All events of a run. */
  async follow(id: string, onEvent: (event: RunEvent) => unknown = () => {}): Promise<RunEvent[]> {
    const { signal } = new AbortController();
    const events: RunEvent[] = [];
    for await (const { event } of this.client.events(id, { after: 0, signal })) {
      events.push(event);
      await onEvent(event);
    }
    return events;
  }

  /** The event that a run ends with. */
  async last(...args: Parameters<RealWorker["follow"]>): Promise<RunEvent> {
    return (await this.follow(...args)).at(-1)!;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#task[Symbol.asyncDispose]();
  }
}
