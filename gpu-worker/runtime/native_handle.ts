// A pointer to an object of ONNX Runtime, shared by its owners and released by the last one.

/** Kinds of object that must be released. */
export type HandleKind =
  | "Env"
  | "SessionOptions"
  | "Session"
  | "IoBinding"
  | "RunOptions"
  | "Value"
  | "Allocator"
  | "MemoryInfo";

export interface NativeHandleOptions {
  /** Objects that must outlive this one. */
  parents?: readonly NativeHandle[];
  /** JavaScript memory that the object points into. Kept alive as long as the object lives. */
  keepAlive?: unknown;
  release: (pointer: bigint) => void;
}

const live: Partial<Record<HandleKind, number>> = {};

/**
 * Returns the number of live native objects by kind, without kinds that have none. For
 * tests and for the worker's metrics.
 */
export function liveHandles(): Readonly<Partial<Record<HandleKind, number>>> {
  return Object.fromEntries(Object.entries(live).filter(([, count]) => count > 0));
}

/**
 * A reference-counted native object that starts with one owner. An active run is an owner of its session and
 * tensors, and a view is an owner of its parent. An owner may therefore dispose of its object at any time:
 * the native object is released when nobody uses it.
 */
export class NativeHandle implements Disposable {
  readonly #kind: HandleKind;
  readonly #pointer: bigint;
  readonly #parents: readonly NativeHandle[];
  readonly #release: (pointer: bigint) => void;
  #keepAlive: unknown;
  #owners = 1;

  constructor(kind: HandleKind, pointer: bigint, options: NativeHandleOptions) {
    const { parents = [], keepAlive, release } = options;
    this.#kind = kind;
    this.#pointer = pointer;
    this.#parents = parents.map((parent) => parent.retain());
    this.#keepAlive = keepAlive;
    this.#release = release;
    live[kind] = (live[kind] ?? 0) + 1;
  }

  /** The native pointer. @throws {ReferenceError} once the last owner has released the object. */
  get pointer(): bigint {
    if (this.#owners === 0) throw new ReferenceError(`Cannot use the ${this.#kind} as it has been released`);
    return this.#pointer;
  }

  /** Adds an owner. */
  retain(): this {
    if (this.#owners === 0) throw new ReferenceError(`Cannot use the ${this.#kind} as it has been released`);
    this.#owners++;
    return this;
  }

  /** Removes an owner. When the last owner is removed, the native object is released, then its parents. */
  release(): void {
    if (this.#owners === 0) throw new ReferenceError(`Cannot release the ${this.#kind} twice`);
    if (--this.#owners > 0) return;
    this.#release(this.#pointer);
    this.#keepAlive = undefined;
    live[this.#kind]! -= 1;
    for (const parent of this.#parents) parent.release();
  }

  /** Removes an owner, for `using` declarations. */
  [Symbol.dispose](): void {
    this.release();
  }
}
