// Compares every naming of LoRA layers that diffusers reads with diffusers' pictures. Tensors that diffusers
// ignores are ignored and reported.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { basename } from "node:path";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { type ImageCall, startOf } from "../../pipeline/reference_images.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";

const FAMILIES = {
  flux: "flux/tiny-dev",
  flux2: "flux2/tiny-base",
  qwen_image: "qwen_image/tiny-image",
  sd3: "sd3/tiny-large",
  sdxl: "sdxl/tiny-sdxl",
  sd15: "sdxl/tiny-sd15",
  qwen_image21: "qwen_image21/tiny-21",
  wan: "wan/tiny-unipc",
  wan22: "wan/tiny-a14b",
  hunyuan_video: "hunyuan_video/tiny-plain",
  z_image: "z_image/tiny-base",
};
/** Files of which something is ignored -> the expected notes. */
const NOTES: Readonly<Record<string, RegExp[]>> = {
  "flux comfy": [
    /left out changes of T5: /,
    /changes of biases: /,
    /changes of norms: /,
    /text projection: /,
  ],
  "flux mixture": [/the same layers once more, in other names: 'lora_unet_double/],
  "flux both": [/the same layers once more, in other names: 'lora_unet_double.* and 1 more/],
  "flux dora": [/left out scales of DoRA: 'transformer\.transformer_blocks\.0\.attn\.to_q\.dora_scale'$/],
  "flux2 dora": [/left out scales of DoRA: 'diffusion_model\.double_blocks\.0\.img_attn\.proj\.dora_scale'$/],
  "sdxl kohya-both": [/the same layers once more, in other names: 'lora_unet_input_blocks/],
  "z_image dots": [/the same layers once more, in other names: 'diffusion_model\.layers\.1.* and 3 more/],
  "wan original-kohya": [/changes of norms: /, /changes of whole tensors: /, /a bias without its weight: /],
};

it("openPipeline() fills up a LoRA of FLUX.1-dev for FLUX.1 Fill, as diffusers does", async () => {
  const [[id, call]] = referenceCalls("lora/names/fill") as [[string, ImageCall]];
  using fill = new ChangedCheckpoint(goldenPath("flux/tiny-dev"), {
    index: { _class_name: "FluxFillPipeline" },
    components: { transformer: goldenPath("references/fill/transformer") },
  });
  const loras = [{ path: goldenPath("lora/names/fill/dev.safetensors"), weight: 1 }];
  using pipeline = await openPipeline(fill.folder, { loras });
  const result = await generateReference(pipeline, call, await startOf(call));
  assertReference(result, { id, goldens: loadGoldens("lora/names/fill") });
});

for (const [family, checkpoint] of Object.entries(FAMILIES)) {
  const goldens = loadGoldens(`lora/names/${family}`);

  describe(`openPipeline() with LoRAs of ${family} in other namings`, () => {
    for (const [id, call] of referenceCalls(`lora/names/${family}`)) {
      const name = id.slice("picture.".length);
      it(`gives diffusers' latents for ${name}`, async () => {
        const path = goldenPath(`lora/names/${family}/${name}.safetensors`);
        const said: string[] = [];
        const warn = (note: string) => said.push(note);
        const loras = [{ path, weight: 1, ...name === "second" && { second: true } }];
        using pipeline = await openPipeline(goldenPath(checkpoint), { loras, warn });
        assertReference(await generateReference(pipeline, call), { id, goldens });
        const expected = NOTES[`${family} ${name}`] ?? [];
        assert.equal(said.length, expected.length, said.join("\n"));
        for (const [i, note] of said.entries()) {
          assert.ok(expected.some((pattern) => pattern.test(note)), `${i}: ${note}`);
          assert.ok(note.includes(basename(path)));
        }
      });
    }
  });
}
