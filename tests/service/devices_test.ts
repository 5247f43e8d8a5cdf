// The device's name from the worker to a client of the edge, on each device that this machine has.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { Receipt } from "../../protocol/wire/receipt.ts";
import { NO_SOFTWARE_GPU } from "../software_gpu.ts";
import { startService } from "./service.ts";

const DEVICES = [
  { device: "cpu", name: /^cpu: ./, skip: false },
  { device: "webgpu", name: /^webgpu: .*SwiftShader/, skip: NO_SOFTWARE_GPU !== false },
];

for (const { device, name, skip } of DEVICES) {
  describe(`a worker with --device ${device}`, { skip }, () => {
    it("names its device in readiness, models and receipts", async () => {
      await using service = await startService({}, "--device", device);
      const ready = await (await fetch(`${service.workerUrl}/readyz`)).json();
      assert.match(ready.device, name);
      const { data: [model] } = await (await fetch(`${service.url}/v1/models`)).json();
      assert.equal(model.device, ready.device);
      const card = await (await fetch(`${service.url}/v1/models/${encodeURIComponent(model.id)}`)).json();
      assert.equal(card.device, ready.device);
      const response = await fetch(`${service.url}/v1/images/generations`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: "models/emoji",
          prompt: "a crab",
          size: "64x64",
          response_format: "b64_json",
          steps: 2,
          seed: 1,
        }),
      });
      const body: { data: { receipt: Receipt }[] } = await response.json();
      assert.equal(response.status, 200, JSON.stringify(body));
      assert.equal(body.data[0]!.receipt.device, ready.device);
    });
  });
}
