// The Mersenne Twister as torch's CPU generator runs it (at::mt19937, Matsumoto and Nishimura 1998),
// drawn in bulk: noise for a video takes millions of numbers.

const STATE_SIZE = 624;
const SHIFT_SIZE = 397;

/** A stream of 32-bit integers that equals torch's and numpy's `MT19937` for the same 32-bit seed. */
export class Mt19937 {
  readonly #state = new Uint32Array(STATE_SIZE);
  #next = STATE_SIZE;

  /** @param seed Only the low 32 bits count. */
  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < STATE_SIZE; i++) {
      const previous = state[i - 1]!;
      state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
  }

  /** Draws the next number of the stream, 0..2^32-1. */
  next(): number {
    if (this.#next === STATE_SIZE) this.#twist();
    let y = this.#state[this.#next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < STATE_SIZE; i++) {
      const next = i + 1 === STATE_SIZE ? 0 : i + 1;
      const far = i + SHIFT_SIZE < STATE_SIZE ? i + SHIFT_SIZE : i + SHIFT_SIZE - STATE_SIZE;
      const joined = (state[i]! & 0x80000000) | (state[next]! & 0x7fffffff);
      state[i] = state[far]! ^ (joined >>> 1) ^ (-(joined & 1) & 0x9908b0df);
    }
    this.#next = 0;
  }
}
