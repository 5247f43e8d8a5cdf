// Two edges, two real workers, a real Redis, and a worker and an edge killed with -9 while they make a video
// from a first frame.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { WITHOUT_REDIS } from "../service/redis.ts";
import { readMetric } from "../service/service.ts";
import { goldenPath } from "../goldens/golden.ts";
import { until } from "../until.ts";
import { type Node, startCluster } from "./cluster.ts";
import { streamed, type StreamedEvent } from "./requests.ts";

const STEPS = 200;

describe("failover of a video from a first frame", { skip: WITHOUT_REDIS }, () => {
  for (const model of ["hunyuan_video/tiny-replace", "frames/tiny-a14b"]) {
    it(`of ${model} is made by the other worker, equal to an undisturbed one`, async () => {
      await using cluster = await startCluster({ workers: 2, edges: 2, model: goldenPath(model) });
      const [dying, other] = cluster.edges as [Node, Node];
      const id = await begin(dying.url);
      const seen: StreamedEvent[] = [];
      const events = streamed(await fetch(`${other.url}/v1/videos/${id}/events`));
      const maker = async () => {
        for (const worker of cluster.workers) {
          if (await readMetric(worker.url, "spectrum_running") > 0) return worker;
        }
      };
      let worker: Node | undefined;
      for await (const event of events) {
        seen.push(event);
        if (typesOf(seen).includes("restarted")) continue;
        // Asked for early, so that the run cannot end meanwhile.
        if (event.data.step_index === 0) worker = await maker();
        if (event.data.step_index === 20) await Promise.all([dying.kill(), worker!.kill()]);
      }
      const types = typesOf(seen);
      assert.equal(types.filter((type) => type === "restarted").length, 1);
      assert.equal(types.at(-1), "completed", JSON.stringify(seen.at(-1)));
      const made = await contentOf(other.url, id);

      await using undisturbed = await startCluster({ edges: 1, redis: false, model: goldenPath(model) });
      const { url } = undisturbed.edges[0]!;
      assert.deepEqual(made, await contentOf(url, await begin(url)));
    });
  }
});

/** Orders a video and returns its id. */
async function begin(url: string): Promise<string> {
  const form = new FormData();
  const frame = Deno.readFileSync(goldenPath("frames/first.png"));
  form.append("input_reference", new File([frame], "first.png", { type: "image/png" }));
  const fields = { prompt: "a red heart", seed: "7", steps: String(STEPS), num_frames: "5", size: "32x32" };
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("output_format", "webp");
  form.append("spectrum", '{"method": "none"}');
  const response = await fetch(`${url}/v1/videos`, { method: "POST", body: form });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body.id;
}

/** Returns a video's file, once it is made. */
async function contentOf(url: string, id: string): Promise<Uint8Array> {
  await until(async () => {
    const { status, error } = await (await fetch(`${url}/v1/videos/${id}`)).json();
    assert.notEqual(status, "failed", JSON.stringify(error));
    return status === "completed";
  });
  return await (await fetch(`${url}/v1/videos/${id}/content`)).bytes();
}

function typesOf(events: readonly StreamedEvent[]): string[] {
  return events.map(({ type }) => type.replace("video.", ""));
}
