// The worker's files: a run names one that was sent before.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { FileStore } from "../../../gpu-worker/http/file_store.ts";
import { runRequestSchema } from "../../../protocol/wire/run_request.ts";
import { filesOf } from "../../../routes/runs/sent_files.ts";

const RUN = { model: "m", prompt: "x", seed: 1 };
const base64 = (text: string) => new TextEncoder().encode(text).toBase64();
const digest = (text: string) => createHash("sha256").update(text).digest("hex");
const parse = (fields: object) => runRequestSchema.parse({ ...RUN, ...fields });

describe("FileStore", () => {
  it("gives a run the files that it names, once they were sent", () => {
    const files = new FileStore();
    const sent = { ...RUN, image: base64("picture"), mask: base64("mask") };
    const { named } = filesOf(sent)!;
    assert.deepEqual(named, { ...RUN, image_sha256: digest("picture"), mask_sha256: digest("mask") });
    assert.throws(() => files.resolve(parse(named)), { status: 409, code: "file_unknown" });
    assert.deepEqual(files.resolve(parse(sent)), parse(sent));
    assert.deepEqual(files.resolve(parse(named)), parse(sent));
    assert.equal(filesOf(RUN), undefined);
  });

  it("gives a run its references in their order", () => {
    const files = new FileStore();
    const texts = ["second", "first", "second"];
    const sent = { ...RUN, references: texts.map(base64) };
    const { named, key } = filesOf(sent)!;
    assert.deepEqual(named, { ...RUN, references_sha256: texts.map(digest) });
    assert.equal(key, texts.map(digest).join("."));
    assert.throws(() => files.resolve(parse(named)), { status: 409, code: "file_unknown" });
    assert.deepEqual(files.resolve(parse(sent)), parse(sent));
    assert.deepEqual(files.resolve(parse(named)).references, sent.references);
  });

  it("forgets the files that were not named for the longest time", () => {
    const files = new FileStore(20);
    const named = (text: string) => parse({ image_sha256: digest(text) });
    for (const text of ["first", "second"]) files.resolve(parse({ image: base64(text) }));
    files.resolve(named("first"));
    files.resolve(parse({ image: base64("third") }));
    assert.equal(files.resolve(named("first")).image, base64("first"));
    assert.throws(() => files.resolve(named("second")), { code: "file_unknown" });
  });
});
