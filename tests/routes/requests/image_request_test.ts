import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { parseImageRequest } from "../../../routes/requests/image_request.ts";

function refusal(body: unknown): ApiError {
  try {
    parseImageRequest(body);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: `accepted ${JSON.stringify(body)}` });
}

describe("parseImageRequest()", () => {
  it("parseImageRequest() fills in OpenAI's defaults", () => {
    const request = parseImageRequest({ prompt: "red heart" });
    const { n, output_format, output_compression, stream, partial_images, progress } = request;
    assert.deepEqual(
      { n, output_format, output_compression, stream, partial_images, progress },
      {
        n: 1,
        output_format: "png",
        output_compression: 100,
        stream: false,
        partial_images: 0,
        progress: false,
      },
    );
    assert.equal(request.seed, undefined);
  });

  it("parseImageRequest() takes null as absent, as OpenAI's clients send it", () => {
    const request = parseImageRequest({
      prompt: "x",
      n: null,
      size: null,
      stream: null,
      seed: null,
      user: null,
    });
    assert.equal(request.n, 1);
    assert.equal(request.size, undefined);
  });

  it("parseImageRequest() accepts OpenAI's fields that this server ignores", () => {
    const ignored = { user: "u1", moderation: "low", style: "vivid", quality: "hd", input_fidelity: "high" };
    assert.equal(parseImageRequest({ prompt: "x", background: "auto", ...ignored }).prompt, "x");
  });

  it("parseImageRequest() takes apps' habits: n as text, seed -1, transparency, other qualities", () => {
    const request = parseImageRequest({
      prompt: "x",
      n: "3",
      seed: -1,
      background: "transparent",
      quality: "ultra",
      style: "cinematic",
    });
    assert.deepEqual([request.n, request.seed, request.background], [3, undefined, "transparent"]);
  });

  it("parseImageRequest() spells a prompt in one way", () => {
    assert.equal(parseImageRequest({ prompt: "cafe\u0301" }).prompt, "caf\u00e9");
  });

  const REFUSED: [string, unknown, { param?: string; code: string; message: RegExp }][] = [
    ["no object", [], { code: "invalid_type", message: /^The request body must be an object/ }],
    ["null", null, { code: "invalid_type", message: /^The request body must be an object/ }],
    ["no prompt", {}, { param: "prompt", code: "missing_required_parameter", message: /'prompt'/ }],
    ["empty prompt", { prompt: "" }, {
      param: "prompt",
      code: "invalid_value",
      message: /length of at least 1/,
    }],
    ["number as prompt", { prompt: 5 }, {
      param: "prompt",
      code: "invalid_type",
      message: /^'prompt' must be a string: current value is 5$/,
    }],
    ["long prompt", { prompt: "x".repeat(32_001) }, {
      param: "prompt",
      code: "invalid_value",
      message: /at most 32000: current value is 32001 characters long$/,
    }],
    ["n = 11", { prompt: "x", n: 11 }, {
      param: "n",
      code: "invalid_value",
      message: /at most 10: current value is 11/,
    }],
    ["n = 1.5", { prompt: "x", n: 1.5 }, { param: "n", code: "invalid_type", message: /whole number/ }],
    ["size", { prompt: "x", size: "big" }, { param: "size", code: "invalid_value", message: /WIDTHxHEIGHT/ }],
    ["response format", { prompt: "x", response_format: "file" }, {
      param: "response_format",
      code: "invalid_value",
      message: /one of b64_json, url/,
    }],
    ["a colour as background", { prompt: "x", background: "blue" }, {
      param: "background",
      code: "invalid_value",
      message: /auto, opaque or transparent: current value is "blue"/,
    }],
    ["unknown field", { prompt: "x", stepz: 3 }, {
      param: "stepz",
      code: "unknown_parameter",
      message: /^Unknown parameter: 'stepz'$/,
    }],
    ["__proto__", JSON.parse(`{"prompt":"x","__proto__":{"n":5}}`), {
      param: "__proto__",
      code: "unknown_parameter",
      message: /Unknown parameter/,
    }],
    ["unknown option", { prompt: "x", spectrum: { wibble: 1 } }, {
      param: "spectrum.wibble",
      code: "unknown_parameter",
      message: /'spectrum.wibble'/,
    }],
    ["w = 2", { prompt: "x", spectrum: { w: 2 } }, {
      param: "spectrum.w",
      code: "invalid_value",
      message: /^'spectrum.w' must be at most 1: current value is 2$/,
    }],
    ["negative seed", { prompt: "x", seed: -2 }, {
      param: "seed",
      code: "invalid_value",
      message: /at least -1/,
    }],
    ["a word as n", { prompt: "x", n: "two" }, { param: "n", code: "invalid_type", message: /a number/ }],
    ["seed past 2^53", { prompt: "x", seed: 2 ** 60 }, {
      param: "seed",
      code: "invalid_value",
      message: /at most/,
    }],
  ];
  for (const [name, body, { param, code, message }] of REFUSED) {
    it(`parseImageRequest() refuses ${name}`, () => {
      const error = refusal(body);
      assert.equal(error.status, 400);
      assert.equal(error.param, param);
      assert.equal(error.code, code);
      assert.match(error.message, message);
    });
  }
});
