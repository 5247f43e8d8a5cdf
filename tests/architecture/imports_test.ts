// Imports point downward: no layer, family or folder needs what lies above or beside it.
import { dirname, join } from "node:path";
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { findViolations } from "./import_rules.ts";
import { readImports } from "./read_imports.ts";

const FOLDERS = ["deploy", "routes", "protocol", "gpu-worker", "sampler"];

/** The broken rules of the made-up tree below. */
const EXPECTED = [
  "deploy/batches/queue.ts -> deploy/start/start.ts: deploy/start already imports deploy/batches, " +
  "so this closes a circle",
  "deploy/start/options.ts -> deploy/batches/pull.ts: deploy/batches already imports deploy/start, " +
  "so this closes a circle",
  "gpu-worker/cli/draw.ts -> gpu-worker/http/app.ts: gpu-worker/cli and gpu-worker/http are layers of " +
  "one rank",
  "gpu-worker/cli/draw.ts -> routes/app.ts: gpu-worker may import only sampler, protocol outside itself",
  "gpu-worker/families/flux/flux.ts -> gpu-worker/families/wan/wan.ts: a family imports no other family",
  "gpu-worker/main.ts -> gpu-worker/stray.ts: gpu-worker/stray.ts belongs to no layer",
  "gpu-worker/media/png.ts -> gpu-worker/request/request.ts: gpu-worker/media lies below gpu-worker/request",
  "gpu-worker/pipeline/draw.ts -> gpu-worker/pipeline/result.ts: " +
  "gpu-worker/pipeline/result.ts already imports gpu-worker/pipeline/draw.ts, so this closes a circle",
  "gpu-worker/pipeline/result.ts -> gpu-worker/pipeline/draw.ts: " +
  "gpu-worker/pipeline/draw.ts already imports gpu-worker/pipeline/result.ts, so this closes a circle",
  "gpu-worker/runtime/session.ts -> gpu-worker/media/png.ts: " +
  "gpu-worker/runtime and gpu-worker/media are layers of one rank",
  "gpu-worker/text/encode.ts -> gpu-worker/vae/decode.ts: " +
  "gpu-worker/text and gpu-worker/vae are layers of one rank",
  "protocol/paths.ts -> routes/app.ts: protocol may import only sampler outside itself",
  "protocol/wire.ts -> gpu-worker/model/model.ts: protocol may import only sampler outside itself",
  "protocol/wire.ts -> routes/app.ts: protocol may import only sampler outside itself",
  "routes/app.ts -> gpu-worker/media/png.ts: routes may import only sampler, protocol outside itself",
  "sampler/walk.ts -> node:path: sampler may import nothing outside itself",
  "sampler/walk.ts -> protocol/wire.ts: sampler may import nothing outside itself",
];

describe("imports", () => {
  it("keep to the layers, and go in no circle", async () => {
    const imports = await readImports(Deno.cwd(), FOLDERS);
    assert.ok(imports.length > 1000, `only ${imports.length} imports were found`);
    const violations = findViolations(imports);
    assert.equal(
      violations.length,
      0,
      `${violations.length} imports break a rule:\n${violations.join("\n")}`,
    );
  });

  it("are refused by name where they break a rule", async () => {
    // Each file with what it imports, in every form that an import has.
    const tree = {
      "sampler/walk.ts": `import { wire } from "../protocol/wire.ts"; import "node:path";`,
      "protocol/wire.ts": `export type * from "../gpu-worker/model/model.ts"; import "../routes/app.ts";`,
      "protocol/paths.ts": `await import("../routes/app.ts");`,
      "routes/app.ts": `import "../gpu-worker/media/png.ts"; import "../protocol/errors.ts";`,
      "protocol/errors.ts": "",
      "gpu-worker/main.ts": `import "./http/app.ts"; import "./model/model.ts"; import "./stray.ts";`,
      "gpu-worker/stray.ts": "",
      "gpu-worker/cli/draw.ts": `import "../http/app.ts"; import "../../routes/app.ts";`,
      "gpu-worker/http/app.ts": "",
      "gpu-worker/model/model.ts": `import "../families/flux/flux.ts"; import "../../sampler/walk.ts";`,
      "gpu-worker/families/flux/flux.ts": `import { wan } from "../wan/wan.ts";`,
      "gpu-worker/families/wan/wan.ts": `import type { Draw } from "../../pipeline/draw.ts";`,
      "gpu-worker/pipeline/draw.ts": `import "../vae/decode.ts"; import "./result.ts";`,
      "gpu-worker/pipeline/result.ts": `import type { Draw } from "./draw.ts";`,
      "gpu-worker/text/encode.ts": `import "../vae/decode.ts";`,
      "gpu-worker/vae/decode.ts": "",
      "gpu-worker/runtime/session.ts": `import "../media/png.ts";`,
      "gpu-worker/media/png.ts": `import type { Request } from "../request/request.ts";`,
      "gpu-worker/request/request.ts": "",
      "deploy/batches/queue.ts": `import "../start/start.ts";`,
      "deploy/start/start.ts": `import "./options.ts";`,
      "deploy/start/options.ts": `export { pull } from "../batches/pull.ts";`,
      "deploy/batches/pull.ts": "",
    };
    const root = Deno.realPathSync(await Deno.makeTempDir());
    try {
      for (const [path, source] of Object.entries(tree)) {
        Deno.mkdirSync(join(root, dirname(path)), { recursive: true });
        Deno.writeTextFileSync(join(root, path), source);
      }
      assert.deepEqual(findViolations(await readImports(root, FOLDERS)), EXPECTED);
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  });
});
