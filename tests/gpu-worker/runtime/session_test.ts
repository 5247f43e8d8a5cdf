import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { liveHandles, OrtError, Runtime, type Tensor } from "../../../gpu-worker/runtime/mod.ts";
import { countingLoop, model, node, sumAndProduct } from "./models.ts";

const floats = (runtime: Runtime, ...values: number[]) =>
  runtime.tensor("float32", [values.length], Float32Array.from(values));
const trips = (runtime: Runtime, count: number) =>
  runtime.tensor("int64", [], BigInt64Array.of(BigInt(count)));
const values = (tensor: Tensor | undefined) => [...tensor!.as("float32").data()];
/** Enough trips for 1 ms timers to fire many times on any machine. */
const LONG = 50_000;
/** More trips than any test would wait for. */
const ENDLESS = 2 ** 40;

describe("Session", () => {
  it("createSession() reads the graph's inputs and outputs", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession({ name: "sums", bytes: sumAndProduct() });
    assert.equal(session.name, "sums");
    assert.deepEqual(session.inputs, [
      { name: "a", dtype: "float32", dims: ["n"] },
      { name: "b", dtype: "float32", dims: ["n"] },
    ]);
    assert.deepEqual(session.outputNames, ["sum", "product"]);
  });

  it("createSession() names the graph that cannot be loaded", async () => {
    using runtime = Runtime.open();
    const bytes = model({
      inputs: { x: ["float32", [1]] },
      outputs: { y: ["float32", [1]] },
      nodes: [node("NoSuchOperator", ["x"], ["y"])],
    });
    await assert.rejects(runtime.createSession({ name: "wrong", bytes }), (error) => {
      assert(error instanceof OrtError);
      assert.equal(error.graph, "wrong");
      assert.match(error.message, /^Cannot load 'wrong': .*NoSuchOperator/);
      return true;
    });
    await assert.rejects(
      runtime.createSession(Uint8Array.of(1, 2, 3)),
      (error) => error instanceof OrtError && error.code === "invalid-protobuf",
    );
  });

  it("run() computes every output", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(sumAndProduct());
    using a = floats(runtime, 1, 2, 3);
    using b = floats(runtime, 4, 5, 6);
    const { sum, product } = await session.run({ a, b });
    assert.deepEqual(values(sum), [5, 7, 9]);
    assert.deepEqual(values(product), [4, 10, 18]);
    sum![Symbol.dispose]();
    product![Symbol.dispose]();
  });

  it("run() computes only the outputs in 'fetch', in its order", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(sumAndProduct());
    using a = floats(runtime, 2);
    using b = floats(runtime, 3);
    const only = await session.run({ a, b }, { fetch: ["product"] });
    assert.deepEqual(Object.keys(only), ["product"]);
    assert.deepEqual(values(only.product), [6]);
    only.product![Symbol.dispose]();
    using given = floats(runtime, 0);
    const both = await session.run({ a, b }, { fetch: ["product", "sum"], outputs: { product: given } });
    assert.deepEqual(Object.entries(both).map(([name, t]) => [name, ...values(t)]), [["product", 6], [
      "sum",
      5,
    ]]);
    both.sum![Symbol.dispose]();
  });

  it("run() writes into a given tensor, such as a slot of a history", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(sumAndProduct());
    using a = floats(runtime, 1, 2);
    using b = floats(runtime, 10, 20);
    using history = runtime.allocate("float32", [3, 2]);
    using slot = history.view(1 * 2 * 4, [2]);
    const { sum } = await session.run({ a, b }, { outputs: { sum: slot }, fetch: ["sum"] });
    assert.equal(sum, slot);
    assert.deepEqual(values(history), [0, 0, 11, 22, 0, 0]);
  });

  it("run() refuses feeds that the graph does not take, naming them", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession({ name: "sums", bytes: sumAndProduct() });
    using a = floats(runtime, 1, 2);
    using long = floats(runtime, 1, 2, 3);
    using square = runtime.allocate("float32", [2, 1]);
    using ints = runtime.allocate("int64", [2]);
    const refused = async (feeds: Record<string, Tensor>, message: RegExp, options = {}) =>
      await assert.rejects(session.run(feeds, options), { message });
    await refused({ a }, /'sums' as it lacks the input 'b'/);
    await refused({ a, b: a, c: a }, /'sums' as it has no input 'c': it has 'a', 'b'/);
    await refused({ a, b: ints }, /input 'b' must be float32: current value is int64/);
    await refused(
      { a, b: square },
      /input 'b' must have the shape \[n\] with n = 2: current value is \[2,1\]/,
    );
    await refused({ a, b: long }, /input 'b' must have the shape \[n\] with n = 2: current value is \[3\]/);
    await refused({ a, b: a }, /output 'sum' must have the shape \[n\] with n = 2: current value is \[3\]/, {
      outputs: { sum: long },
    });
    await refused({ a, b: a }, /has no output 'quotient'/, { fetch: ["quotient"] });
  });

  it("run() names the graph that fails", async () => {
    using runtime = Runtime.open();
    const bytes = model({
      inputs: { x: ["float32", ["n"]], shape: ["int64", ["rank"]] },
      outputs: { y: ["float32", ["m", "k"]] },
      nodes: [node("Reshape", ["x", "shape"], ["y"])],
    });
    using session = await runtime.createSession({ name: "fold", bytes });
    using x = floats(runtime, 1, 2, 3);
    using shape = runtime.tensor("int64", [2], BigInt64Array.of(2n, 2n));
    await assert.rejects(
      session.run({ x, shape }),
      (error) => error instanceof OrtError && error.message.startsWith("Cannot run 'fold': "),
    );
  });

  it("run() leaves the event loop free", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(countingLoop());
    using x = floats(runtime, 0);
    using count = trips(runtime, LONG);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const { y } = await session.run({ x, trips: count });
    clearInterval(timer);
    assert(ticks > 0, "no timer fired during the run");
    assert.deepEqual(values(y), [LONG]);
    y![Symbol.dispose]();
  });

  it("run() allows several at once on one session", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(countingLoop());
    const results = await Promise.all([10, 20_000, 30, 40_000].map(async (n, i) => {
      using x = floats(runtime, i);
      using count = trips(runtime, n);
      const { y } = await session.run({ x, trips: count });
      using result = y!;
      return values(result)[0];
    }));
    assert.deepEqual(results, [10, 20_001, 32, 40_003]);
  });

  it("run() ends midway with the reason of the abort, and the session stays usable", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(countingLoop());
    using x = floats(runtime, 0);
    using count = trips(runtime, ENDLESS);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    await assert.rejects(session.run({ x, trips: count }, { signal: controller.signal }), {
      name: "AbortError",
    });

    const reason = new Error("the viewer left");
    const second = new AbortController();
    setTimeout(() => second.abort(reason), 20);
    await assert.rejects(
      session.run({ x, trips: count }, { signal: second.signal }),
      (error) => error === reason,
    );
    await assert.rejects(session.run({ x, trips: count }, { signal: AbortSignal.abort() }), {
      name: "AbortError",
    });

    using few = trips(runtime, 3);
    const { y } = await session.run({ x, trips: few }, { signal: new AbortController().signal });
    assert.deepEqual(values(y), [3]);
    y![Symbol.dispose]();
  });

  it("dispose() of the session, a tensor or the runtime waits for the run under way", async () => {
    const before = liveHandles();
    const runtime = Runtime.open();
    const session = await runtime.createSession(countingLoop());
    const x = floats(runtime, 5);
    const count = trips(runtime, LONG);
    const running = session.run({ x, trips: count });
    for (const object of [x, count, session, runtime]) object[Symbol.dispose]();
    await assert.rejects(session.run({ x, trips: count }), /its session has been disposed/);
    const { y } = await running;
    assert.deepEqual(values(y), [5 + LONG]);
    y![Symbol.dispose]();
    assert.deepEqual(liveHandles(), before);
    for (const object of [x, session, runtime]) object[Symbol.dispose]();
    await assert.rejects(session.run({ x, trips: count }), ReferenceError);
    await assert.rejects(runtime.createSession(countingLoop()), /the runtime as it has been disposed/);
  });

  it("run() where every output has its tensor gives, refuses and ends as any other", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession({ name: "sums", bytes: sumAndProduct() });
    using a = floats(runtime, 1, 2);
    using b = floats(runtime, 3, 4);
    using sum = floats(runtime, 0, 0);
    using product = floats(runtime, 0, 0);
    for (const blocking of [false, true]) {
      const results = await session.run({ a, b }, { outputs: { sum, product }, blocking });
      assert.deepEqual(results, { sum, product });
      assert.deepEqual([values(sum), values(product)], [[4, 6], [3, 8]]);
      for (const tensor of [sum, product]) tensor.data().fill(0);
      await session.run({ b, a }, { outputs: { sum, product }, fetch: ["product"], blocking });
      assert.deepEqual([values(sum), values(product)], [[0, 0], [3, 8]]);
    }
    await assert.rejects(session.run({ a }, { outputs: { sum, product } }), /lacks the input 'b'/);
    using short = floats(runtime, 0);
    await assert.rejects(
      session.run({ a, b }, { outputs: { sum: short, product } }),
      /output 'sum' must have the shape \[n\] with n = 2: current value is \[1\]/,
    );

    using endless = await runtime.createSession(countingLoop());
    using x = floats(runtime, 0);
    using y = floats(runtime, 0);
    using count = trips(runtime, ENDLESS);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    await assert.rejects(
      endless.run({ x, trips: count }, { outputs: { y }, signal: controller.signal }),
      { name: "AbortError" },
    );
  });

  it("run() into given tensors outlives their disposal", async () => {
    const before = liveHandles();
    const runtime = Runtime.open();
    const session = await runtime.createSession(countingLoop());
    const [x, y] = [floats(runtime, 5), floats(runtime, 0)];
    const count = trips(runtime, LONG);
    const seen = y.data();
    const running = session.run({ x, trips: count }, { outputs: { y } });
    for (const object of [x, y, count, session, runtime]) object[Symbol.dispose]();
    await running;
    assert.deepEqual([...seen], [5 + LONG]);
    assert.deepEqual(liveHandles(), before);
  });

  it("prepare() repeats a run into the same tensors and sees changed contents", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession({ name: "sums", bytes: sumAndProduct() });
    using a = floats(runtime, 1, 2);
    using b = floats(runtime, 3, 4);
    using sum = floats(runtime, 0, 0);
    const before = liveHandles();
    const prepared = session.prepare({ a, b }, { fetch: ["sum"], outputs: { sum } });
    prepared.runBlocking();
    assert.deepEqual(values(sum), [4, 6]);
    a.data().set([10, 20]);
    await prepared.run(new AbortController().signal);
    assert.deepEqual(values(sum), [13, 24]);
    await assert.rejects(prepared.run(AbortSignal.abort()), { name: "AbortError" });
    assert.throws(
      () => session.prepare({ a, b }, { outputs: { sum } }),
      { name: "TypeError", message: "Cannot prepare 'sums' as its output 'product' has no tensor" },
    );
    assert.throws(() => session.prepare({ a }, { fetch: ["sum"], outputs: { sum } }), /lacks the input 'b'/);
    prepared[Symbol.dispose]();
    prepared[Symbol.dispose]();
    assert.throws(() => prepared.runBlocking(), /'sums' as the prepared run has been disposed/);
    assert.deepEqual(liveHandles(), before);
  });

  it("prepare() keeps session and tensors, and a disposal during a run takes effect after it", async () => {
    const before = liveHandles();
    const runtime = Runtime.open();
    const session = await runtime.createSession(countingLoop());
    const [x, y] = [floats(runtime, 5), floats(runtime, 0)];
    const count = trips(runtime, LONG);
    const seen = y.data();
    const prepared = session.prepare({ x, trips: count }, { outputs: { y } });
    for (const object of [x, y, count, session, runtime]) object[Symbol.dispose]();
    const running = prepared.run();
    prepared[Symbol.dispose]();
    await running;
    assert.deepEqual([...seen], [5 + LONG]);
    assert.deepEqual(liveHandles(), before);
  });

  it("run() sees changed contents and returns fresh outputs beside given ones", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(sumAndProduct());
    using a = floats(runtime, 1, 2);
    using b = floats(runtime, 3, 4);
    using given = runtime.allocate("float32", [2]);
    const first = await session.run({ a, b }, { outputs: { product: given } });
    a.data().set([10, 20]);
    const second = await session.run({ a, b }, {
      outputs: { product: given },
      signal: new AbortController().signal,
    });
    assert.deepEqual([values(first.sum), values(second.sum)], [[4, 6], [13, 24]]);
    assert.deepEqual(values(given), [30, 80]);
    assert.equal(second.product, given);
    first.sum![Symbol.dispose]();
    second.sum![Symbol.dispose]();
  });

  it("endProfiling() writes the nodes' times", async () => {
    const folder = await Deno.makeTempDir();
    try {
      using runtime = Runtime.open();
      using session = await runtime.createSession(sumAndProduct(), { profilePrefix: `${folder}/profile` });
      using a = floats(runtime, 1);
      const results = await session.run({ a, b: a });
      for (const tensor of Object.values(results)) tensor[Symbol.dispose]();
      const path = session.endProfiling();
      assert(path.startsWith(`${folder}/profile`), path);
      const events: { args?: { op_name?: string } }[] = JSON.parse(await Deno.readTextFile(path));
      const ops = events.flatMap(({ args }) => args?.op_name ?? []);
      assert.deepEqual([...new Set(ops)].sort(), ["Add", "Mul"]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  it("createSession() honours optimization, memory and thread options", async () => {
    const folder = await Deno.makeTempDir();
    try {
      using runtime = Runtime.open({ intraOpThreads: 1 });
      const optimizedModelPath = `${folder}/optimized.onnx`;
      using session = await runtime.createSession(sumAndProduct(), {
        graphOptimization: "basic",
        optimizedModelPath,
        memPattern: false,
      });
      assert.equal(session.name, "graph");
      assert((await Deno.stat(optimizedModelPath)).size > 0);
      await assert.rejects(
        runtime.createSession(sumAndProduct(), { intraOpThreads: 0 }),
        /'intraOpThreads' must be a whole number >= 1: current value is 0/,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});
