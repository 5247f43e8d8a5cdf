// Encoders that cast their matrices as they run give the states of those that cast them at load, and hold
// few cast matrices at a time.
import { after, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readModel } from "../../../gpu-worker/model/read_model.ts";
import { Runtime, type Session } from "../../../gpu-worker/runtime/mod.ts";
import { castEachRun } from "../../../gpu-worker/session/cast_each_run.ts";
import { goldenPath, maxError } from "../../goldens/golden.ts";

const TOKENS = 12;
/** The sums of unpacked matrices have another order. */
const TOLERANCE = 1e-5;
/** Query, key and value of one layer, and the next layer's first. */
const MAX_HELD = 4;

const CHECKPOINTS = [
  "flux2/tiny-base", // Qwen3
  "hunyuan_video/tiny-plain", // LLaMA
  "qwen_image/tiny-image", // Qwen2.5-VL
  "qwen_image21/tiny-plain", // Qwen3-VL
  "sdxl/tiny-sdxl", // CLIP with a projection
  "wan/tiny-unipc", // UMT5
];

describe("castEachRun()", () => {
  const folder = Deno.makeTempDirSync();
  after(() => Deno.removeSync(folder, { recursive: true }));

  for (const checkpoint of CHECKPOINTS) {
    it(`keeps the states of ${checkpoint}, and casts a matrix right before its product`, async () => {
      const { graphs, reading } = readModel(goldenPath(checkpoint));
      using runtime = Runtime.open();
      for (const name of Object.keys(reading.tokenizers)) {
        const graph = graphs[name]!;
        using folded = await runtime.createSession(graph);
        const model = castEachRun(graph);
        assert.notEqual(model, graph, name);
        using session = await runtime.createSession(model, { profilePrefix: `${folder}/profile` });
        assert.deepEqual(session.inputs, folded.inputs);
        const [expected, states] = [await run(runtime, folded), await run(runtime, session)];
        assert(maxError(states, expected) <= TOLERANCE, `${name}: ${maxError(states, expected)}`);
        const held = mostHeld(session.endProfiling());
        assert(held > 0 && held <= MAX_HELD, `${name} holds ${held} cast matrices at a time`);
      }
    });
  }

  it("leaves a graph alone whose matrices are stored as they are computed with", () => {
    const { graphs, reading } = readModel(goldenPath("flux/tiny-dev"));
    for (const name of Object.keys(reading.tokenizers)) {
      assert.equal(castEachRun(graphs[name]!), graphs[name]);
    }
  });
});

async function run(runtime: Runtime, session: Session): Promise<Float32Array<ArrayBuffer>> {
  using owned = new DisposableStack();
  const ids = BigInt64Array.from({ length: TOKENS }, (_, i) => BigInt(i + 3));
  const values: Record<string, BigInt64Array<ArrayBuffer>> = {
    input_ids: ids,
    attention_mask: new BigInt64Array(TOKENS).fill(1n),
  };
  const feeds = Object.fromEntries(
    session.inputNames.map((
      name,
    ) => [name, owned.use(runtime.tensor("int64", [1, TOKENS], values[name]!))]),
  );
  const outputs = Object.values(await session.run(feeds)).map((tensor) => owned.use(tensor));
  return Float32Array.from(outputs.flatMap((tensor) => [...tensor.as("float32").data()]));
}

interface ProfileEvent {
  name: string;
  args?: { op_name?: string; input_type_shape?: Record<string, number[]>[] };
}

/** Whether a node's input is a matrix in its file's type. */
function isStored(shapes: Record<string, number[]>): boolean {
  return Object.entries(shapes).some(([type, shape]) => /16$/.test(type) && shape.length === 2);
}

/** Returns the largest number of matrices that were cast but not yet multiplied with. */
function mostHeld(profile: string): number {
  let [held, most] = [0, 0];
  for (const { name, args } of JSON.parse(Deno.readTextFileSync(profile)) as ProfileEvent[]) {
    if (!name.endsWith("_kernel_time")) continue;
    const { op_name: op = "", input_type_shape: inputs = [] } = args!;
    if (op === "Cast" && isStored(inputs[0]!)) most = Math.max(most, ++held);
    if (/MatMul|Gemm/.test(op) && inputs[1]!["float"]?.length === 2) held--;
  }
  return most;
}
