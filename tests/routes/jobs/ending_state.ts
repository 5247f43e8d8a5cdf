import { MemoryStateStore } from "../../../routes/state/memory_state_store.ts";

/** A store whose process ends once: after a job's end was noted, before anything else. */
export class EndingState extends MemoryStateStore {
  /** Ends that were noted. */
  ends = 0;

  override async swap(...args: Parameters<MemoryStateStore["swap"]>): Promise<string | undefined> {
    const swapped = await super.swap(...args);
    if (this.ends++ === 0) throw new Error("the process ends here");
    return swapped;
  }
}
