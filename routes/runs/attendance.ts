// Knows whether other edges run: a client of one may continue at another, as long as the store knows both.
import type { Clock } from "../../protocol/process/clock.ts";
import { ATTENDANCE_MS, type RunLog } from "../../protocol/store/run_log/run_log.ts";

export interface AttendanceOptions {
  runs: Pick<RunLog, "attend">;
  clock: Clock;
  /** Whether clients reach this edge. @default true */
  listed?: boolean | undefined;
}

export class Attendance {
  readonly #options: AttendanceOptions;
  readonly #edge = crypto.randomUUID();
  #attendedAt = -Infinity;
  #edges = 1;

  constructor(options: AttendanceOptions) {
    this.#options = options;
  }

  /** Whether clients may continue at another edge. While the store is away the last answer stands. */
  get hasPeers(): boolean {
    return this.#edges > 1;
  }

  /** Tells the store from time to time that this edge runs. Never rejects. */
  async attend(): Promise<void> {
    const { runs, clock, listed = true } = this.#options;
    const now = clock.now();
    if (!listed || now - this.#attendedAt < ATTENDANCE_MS / 3) return;
    try {
      this.#edges = await runs.attend(this.#edge);
      this.#attendedAt = now;
    } catch {
      // The next look finds the store, or the one after.
    }
  }
}
