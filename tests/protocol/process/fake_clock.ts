// Time that passes when the test says so.
import type { Clock } from "../../../protocol/process/clock.ts";

interface Timer {
  at: number;
  call: () => void;
}

export class FakeClock implements Clock {
  #now = 0;
  #timers: Timer[] = [];

  /** Timers that have not gone off. */
  get waiting(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): Disposable {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return { [Symbol.dispose]: () => this.#drop(timer) };
  }

  /** Lets `ms` pass: timers go off in their order, each at its own time, those that they start included. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#drop(timer);
      this.#now = timer.at;
      timer.call();
    }
    this.#now = end;
  }

  #next(end: number): Timer | undefined {
    return this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
  }

  #drop(timer: Timer): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }
}
