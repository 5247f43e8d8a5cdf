// Pictures made together, on the embedded checkpoint.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { batchLimit } from "../../../gpu-worker/request/batch_limit.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { type BatchPlace, createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import type { GenerateOptions, GenerateResult, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import type { GenerateRequest } from "../../../gpu-worker/request/generate_request.ts";
import { liveHandles } from "../../../gpu-worker/runtime/mod.ts";
import { goldenPath, loadGoldens, maxError } from "../../goldens/golden.ts";
import { onPipeline } from "../pipeline/on_pipeline.ts";
import {
  assertReference,
  completeReference,
  type ReferenceCall,
  referenceCalls,
} from "../pipeline/reference_call.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

/** Matrix products of more rows may sum in another order. */
const TOLERANCE = 1e-4;

const WINDOW = { method: "spectrum", windowSize: 2, flexWindow: 0.75, passes: 0 } as const;

describe("createBatch()", () => {
  let pipeline: Pipeline;
  const onEmoji = (test: () => Promise<void>) =>
    onPipeline("models/emoji", (opened) => {
      pipeline = opened;
      return test();
    });

  const request = (prompt: string, seed: number) =>
    completeRequest({ prompt, seed, steps: 20, sampler: WINDOW }, pipeline.description);
  const REQUESTS = [["a crab", 1], ["a red heart on a blue background", 2], ["a cat", 3]] as const;
  const requests = () => REQUESTS.map(([prompt, seed]) => request(prompt, seed));

  /** Runs `requests` as one picture batch. Each place is disposed of when its run ends, as in a worker. */
  function together(
    requests: readonly GenerateRequest[],
    optionsOf: (index: number) => GenerateOptions = () => ({}),
  ) {
    return createBatch(requests.length).map(async (place, i) => {
      using batch = place;
      const result = await pipeline.generate(requests[i]!, { ...optionsOf(i), batch });
      return { ...result, pictures: batch.pictures };
    });
  }

  /** The result of each request alone. Computed once, as it is the same for all tests. */
  let expected: Promise<GenerateResult[]> | undefined;
  const alone = () =>
    expected ??= (async () => {
      const results = [];
      for (const request of requests()) results.push(await pipeline.generate(request));
      return results;
    })();

  it(
    "draws each request as if it were alone, forecast errors included",
    onEmoji(async () => {
      const expected = await alone();
      for (const [i, result] of (await Promise.all(together(requests()))).entries()) {
        assert.equal(result.pictures, 3);
        assert.deepEqual(result.initialLatents, expected[i]!.initialLatents);
        assert.ok(maxError(result.latents.data, expected[i]!.latents.data) <= TOLERANCE);
        assert.ok(maxError(result.image.data, expected[i]!.image.data) <= TOLERANCE);
        assert.deepEqual(result.plan, expected[i]!.plan);
        assert.deepEqual([...result.forecastErrors.keys()], [...expected[i]!.forecastErrors.keys()]);
        const errors = (of: typeof result.forecastErrors) => Float32Array.from(of.values());
        assert.ok(maxError(errors(result.forecastErrors), errors(expected[i]!.forecastErrors)) <= TOLERANCE);
      }
    }),
  );

  it(
    "goes on without one that is cancelled, whose run ends within its step",
    onEmoji(async () => {
      const expected = await alone();
      const controller = new AbortController();
      const seen: number[] = [];
      const [first, cancelled, third] = together(requests(), (i) =>
        i !== 1 ? {} : {
          signal: controller.signal,
          onStep: ({ index }) => {
            seen.push(index);
            if (index === 7) controller.abort("cancelled");
          },
        });
      await assert.rejects(cancelled!, (reason) => reason === "cancelled");
      assert.equal(seen.at(-1), 7);
      for (const [i, result] of [[0, await first!], [2, await third!]] as const) {
        assert.ok(maxError(result.latents.data, expected[i]!.latents.data) <= TOLERANCE);
      }
    }),
  );

  it(
    "drops the rows of pictures that left at the next full pass; errors stay each picture's own",
    onEmoji(async () => {
      const expected = await alone();
      const rows: number[] = [];
      const controllers = REQUESTS.map(() => new AbortController());
      const counted = createBatch(3).map((place): BatchPlace => ({
        get pictures() {
          return place.pictures;
        },
        join: async (run, { prepare, signal }) =>
          await place.join(run, {
            signal,
            prepare: (runs, owned) => {
              rows.push(runs.length);
              return prepare(runs, owned);
            },
          }),
        [Symbol.dispose]: () => place[Symbol.dispose](),
      }));
      const idle = liveHandles();
      const runs = counted.map(async (place, i) => {
        using batch = place;
        return await pipeline.generate(requests()[i]!, {
          batch,
          signal: controllers[i]!.signal,
          onStep: ({ index }) => {
            // The lane that announced the forecasts leaves first.
            if (index === 5 && i === 0 || index === 11 && i === 2) controllers[i]!.abort("cancelled");
          },
        });
      });
      const [first, last, third] = runs;
      for (const cancelled of [first!, third!]) {
        await assert.rejects(cancelled, (reason) => reason === "cancelled");
      }
      const result = await last!;
      assert.deepEqual(rows, [3, 2, 1]);
      assert.ok(maxError(result.latents.data, expected[1]!.latents.data) <= TOLERANCE);
      const errors = ({ forecastErrors }: GenerateResult) => Float32Array.from(forecastErrors.values());
      assert.ok(maxError(errors(result), errors(expected[1]!)) <= TOLERANCE);
      assert.deepEqual(liveHandles(), idle);
    }),
  );

  it(
    "goes on without one that fails",
    onEmoji(async () => {
      const failure = new Error("the disk is full");
      const [failed, ...others] = together(requests(), (i) =>
        i !== 0 ? {} : {
          onStep: () => {
            throw failure;
          },
        });
      await assert.rejects(failed!, failure);
      assert.equal((await Promise.all(others)).length, 2);
    }),
  );

  it(
    "frees everything when all are cancelled",
    onEmoji(async () => {
      const idle = liveHandles();
      const controller = new AbortController();
      const runs = together(requests(), () => ({
        signal: controller.signal,
        onStep: ({ index }) => {
          if (index === 3) controller.abort("cancelled");
        },
      }));
      const outcomes = await Promise.allSettled(runs);
      assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
      assert.deepEqual(liveHandles(), idle);
    }),
  );

  it(
    "does not wait for a place that is given up, or for a run that is cancelled before it joins",
    onEmoji(async () => {
      const [given, cancelled, ...places] = createBatch(4);
      given![Symbol.dispose]();
      const runs = [cancelled!, ...places].map(async (place, i) => {
        using batch = place;
        const signal = i === 0 ? AbortSignal.abort("too late") : undefined;
        await pipeline.generate(requests()[i]!, { batch, ...signal && { signal } });
        return batch.pictures;
      });
      await assert.rejects(runs[0]!, (reason) => reason === "too late");
      assert.deepEqual(await Promise.all(runs.slice(1)), [2, 2]);
    }),
  );

  it(
    "tells all pictures why preparation failed, and frees the prepared part",
    onEmoji(async () => {
      const failure = new Error("no memory is left");
      let freed = 0;
      const runs = createBatch(2).map(async (place) => {
        using batch = place;
        await batch.join({}, {
          prepare: (_, owned) => {
            owned.defer(() => freed++);
            throw failure;
          },
          signal: undefined,
        });
      });
      for (const run of runs) await assert.rejects(run, failure);
      assert.equal(freed, 1);
    }),
  );

  it(
    "shows exact previews of one while the others jump",
    onEmoji(async () => {
      const previewed = async (options: Pick<GenerateOptions, "batch">) => {
        const previews: number[][] = [];
        await pipeline.generate(requests()[0]!, {
          ...options,
          previewSteps: new Set([9, 13]),
          onPreview: (_, { data }) => void previews.push([...data]),
        });
        return previews;
      };
      const expected = await previewed({});
      const [place, other] = createBatch(2);
      const [previews] = await Promise.all([
        previewed({ batch: place! }),
        pipeline.generate(requests()[1]!, { batch: other! }),
      ]);
      assert.equal(previews.length, 2);
      for (const [i, preview] of previews.entries()) {
        assert.ok(maxError(Float32Array.from(preview), Float32Array.from(expected[i]!)) <= TOLERANCE);
      }
    }),
  );

  it(
    "lets other requests be made beside it",
    onEmoji(async () => {
      const [expected] = await alone();
      const [beside] = await Promise.all([pipeline.generate(requests()[0]!), ...together(requests())]);
      assert.deepEqual(beside.latents, expected!.latents);
    }),
  );
});

// Runs each family beside a picture with another prompt and seed, whose rows must not leak.
for (
  const name of ["flux/tiny-dev", "flux/tiny-schnell", "sd3/tiny-large", "sdxl/tiny-sdxl", "sdxl/tiny-sd15"]
) {
  describe(`createBatch() on ${name}`, () => {
    const goldens = loadGoldens(name);
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(goldenPath(name));
    });
    after(() => pipeline[Symbol.dispose]());

    const batchable = (call: ReferenceCall) =>
      !call.skip_guidance_layers && !call.scheduler && call.force_zeros_for_empty_prompt === undefined;
    for (const [id, call] of referenceCalls(name).filter(([, call]) => batchable(call))) {
      it(`gives diffusers' latents for ${id}`, async () => {
        const request = completeReference(pipeline, call);
        assert.ok(batchLimit(request, pipeline.description.rules) > 1);
        const others = [{ ...request, prompt: "something else", seed: request.seed + 1 }, request];
        const [, result] = await Promise.all(
          createBatch(2).map(async (place, i) => {
            using batch = place;
            return await pipeline.generate(others[i]!, { batch });
          }),
        );
        assertReference(result!, { id, goldens });
      });
    }
  });
}
