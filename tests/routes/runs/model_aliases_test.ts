import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { ModelCard } from "../../../protocol/wire/model_card.ts";
import { aliasNamed, parseModelAliases, targetOf } from "../../../routes/runs/model_aliases.ts";
import { nearestSize } from "../../../routes/models/nearest_size.ts";

describe("parseModelAliases()", () => {
  it("reads names, models and options; dall-e-* answer with addresses unless told otherwise", () => {
    const text =
      "dall-e-3=models/emoji, dall-e-2 = a+b.safetensors:0.5;response_format=b64_json,x=pictures;size=exact";
    assert.deepEqual(parseModelAliases(text), [
      { name: "dall-e-3", target: "models/emoji", size: "nearest", response_format: "url" },
      { name: "dall-e-2", target: "a+b.safetensors:0.5", size: "nearest", response_format: "b64_json" },
      { name: "x", target: "pictures", size: "exact", response_format: "b64_json" },
    ]);
    assert.deepEqual(parseModelAliases(""), []);
  });

  it("refuses text that it cannot read", () => {
    for (const text of ["dall-e-3", "=x", "x=", "x=y;size=large", "x=y;colour=red", "x=y,x=z"]) {
      assert.throws(
        () => parseModelAliases(text),
        /^TypeError: Cannot start as 'SPECTRUM_MODEL_ALIASES' must be/,
        text,
      );
    }
  });
});

describe("aliasNamed()", () => {
  it("prefers a whole name to a beginning, and keeps the name that was asked for", () => {
    const aliases = parseModelAliases("gpt-image-*=pictures,gpt-image-1=exact,dall-e-*=pictures");
    assert.equal(aliasNamed("gpt-image-1", aliases)?.target, "exact");
    const { name, target } = aliasNamed("gpt-image-2-2026-04-21", aliases)!;
    assert.deepEqual([name, target], ["gpt-image-2-2026-04-21", "pictures"]);
    assert.equal(aliasNamed("dall-e-4", aliases)?.response_format, "url");
    assert.equal(aliasNamed("gpt-4o", aliases), undefined);
  });
});

describe("targetOf()", () => {
  it("finds a model by its name, or the first one of its kind", () => {
    const video = { frame_step: 4, max_frames: 9 };
    const cards = [{ id: "v", video }, { id: "p" }, { id: "videos" }, { id: "w", video }] as ModelCard[];
    const find = (target: string) => targetOf(parseModelAliases(`x=${target}`)[0]!, cards)?.id;
    assert.deepEqual(["p", "pictures", "videos", "other"].map(find), ["p", "p", "videos", undefined]);
  });
});

describe("nearestSize()", () => {
  const limits = { size_multiple: 8, max_side: 4096, max_pixels: 4_194_304, max_sequence_length: 1 };
  const sizes = (native: number, smallest_side = native / 2, largest_side = 2 * native) => ({
    native: `${native}x${native}`,
    smallest_side,
    largest_side,
    largest_pixels: 2.25 * native ** 2,
    multiple: 8,
  });
  const fit = (width: number, height: number, own: ReturnType<typeof sizes>) => {
    const size = nearestSize({ width, height }, { sizes: own, limits });
    return `${size.width}x${size.height}`;
  };

  it("keeps a size that the model draws well, to the nearest multiple", () => {
    assert.equal(fit(1024, 1024, sizes(1024)), "1024x1024");
    assert.equal(fit(1792, 1024, sizes(1024)), "1792x1024");
    assert.equal(fit(770, 500, sizes(512)), "768x504");
  });

  it("keeps the shape of a size that it does not", () => {
    assert.equal(fit(1024, 1024, sizes(512)), "512x512");
    assert.equal(fit(1792, 1024, sizes(512)), "680x384");
    assert.equal(fit(256, 256, sizes(1024)), "1024x1024");
    assert.equal(fit(99_999, 1, sizes(512)), "1024x256");
    assert.equal(fit(1792, 1024, sizes(64, 64, 64)), "64x64");
  });
});
