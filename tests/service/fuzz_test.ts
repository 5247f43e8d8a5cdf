// Property-based fuzzing: schemathesis (PyPI) reads /openapi.json of a running edge, sends what the
// document allows and what it does not, and checks every answer against it. The worker is real but for its
// pipeline, which draws at once.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { startRedisServer } from "../../deploy/redis_rest/redis_server.ts";
import { readMetrics, startFakeWorker, startTask } from "./service.ts";
import { skipWithout } from "../installed.ts";

const LISTENING = /"message":"listening","url":"([^"]+)"/;
/** SCHEMATHESIS, or what PATH finds. */
const program = Deno.env.get("SCHEMATHESIS") ?? "schemathesis";
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "negative_data_rejection",
  "unsupported_method",
  "allow_header_conformance",
];
// Not positive_data_acceptance: which sizes and options a model takes is no part of the document.

const skip = skipWithout(program, { hint: "pip install schemathesis; SCHEMATHESIS may name it" });

describe("the edge's API, fuzzed", { skip }, () => {
  it("schemathesis finds no server error, undocumented answer or accepted forbidden request", async () => {
    await using worker = await startFakeWorker();
    // Batches are left out where there is no Redis to keep them.
    await using redis = await startRedisServer().catch(() => undefined);
    await using batches = redis && await startTask("batches", {
      args: ["--redis", redis.url, "--port", "0"],
      env: { SPECTRUM_WORKERS: worker.found },
      until: LISTENING,
    });
    await using edge = await startTask("edge", {
      env: { PORT: "0", SPECTRUM_WORKERS: worker.found, SPECTRUM_BATCHES: batches?.found ?? "" },
      until: LISTENING,
    });
    const folder = await Deno.makeTempDir();
    try {
      const { code, stdout, stderr } = await new Deno.Command(program, {
        args: [
          ...["run", `${edge.found}/openapi.json`, "--checks", CHECKS.join(",")],
          // The same cases each time: what is found can be found again. More of them: SCHEMATHESIS_EXAMPLES.
          ...["--seed", "1", "--max-examples", Deno.env.get("SCHEMATHESIS_EXAMPLES") ?? "6"],
          ...batches ? [] : ["--exclude-path-regex", "^/v1/(files|batches)"],
          ...["--phases", "examples,coverage,fuzzing", "--request-timeout", "120", "--continue-on-failure"],
        ],
        // It keeps what it found beside itself.
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      const report = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert.equal(code, 0, report.slice(-8000));
      // It got through to pictures and jobs, rather than being refused all the time.
      const metrics = await readMetrics(edge.found);
      const accepted = ["200", "202"].map((status) =>
        metrics.get(
          `spectrum_edge_requests_total{method="POST",route="/v1/images/generations",status="${status}"}`,
        ) ?? 0
      );
      assert.ok(accepted[0]! + accepted[1]! >= 5, `${accepted} requests for pictures were accepted`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});
