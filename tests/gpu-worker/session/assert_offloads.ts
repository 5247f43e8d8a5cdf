// A pipeline that holds one stage at a time.
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { liveHandles } from "../../../gpu-worker/runtime/mod.ts";
import { goldenPath } from "../../goldens/golden.ts";

const sessions = () => liveHandles().Session ?? 0;

/** Offloading holds one stage of a checkpoint at a time and draws the same two pictures. */
export async function assertOffloads(name: string): Promise<void> {
  const frames = name.startsWith("wan/") && { numFrames: 5 };
  const request = { prompt: "red heart", seed: 3, steps: 4, width: 16, height: 16, ...frames };
  const draw = async (offload: boolean) => {
    using pipeline = await openPipeline(goldenPath(name), { offload });
    const before = sessions();
    let denoising = 0;
    const onStep = () => void (denoising = sessions());
    const first = await pipeline.generate(completeRequest(request, pipeline.description), { onStep });
    const second = await pipeline.generate(
      completeRequest({ ...request, prompt: "a crab" }, pipeline.description),
    );
    const images = [first, second].map(({ image }) => image.data);
    return { images, held: [before, denoising, sessions()] };
  };
  const together = await draw(false);
  const inTurn = await draw(true);
  assert.deepEqual(inTurn.images, together.images);
  // First nothing is loaded, then trunk and head (which four steps may not need),
  // and in the end only the decoder.
  const [opened, denoising, decoded] = inTurn.held;
  assert.ok(opened === 0 && denoising! <= 2 && decoded === 1, `sessions: ${inTurn.held}`);
}
