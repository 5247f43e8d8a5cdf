// What deploy/ says of the two processes is what they are. Schemas: deploy/README.md tells how they were checked.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parse } from "@std/yaml/parse";
import { WorkerMetrics } from "../../gpu-worker/http/worker_metrics.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));

interface Compose {
  services: Record<string, { environment?: Record<string, string>; build?: { dockerfile: string } }>;
}
interface Probe {
  httpGet: { path: string; port: string };
}
interface Pod {
  terminationGracePeriodSeconds: number;
  containers: {
    name: string;
    ports: { name: string }[];
    readinessProbe: Probe;
    livenessProbe: Probe;
    lifecycle: { preStop: { sleep: { seconds: number } } };
  }[];
}

/** Permissions of `command`, in order of their names. */
function permissions(command: string): string[] {
  return (command.match(/--allow-[\w-]+(=[\w,.]+)?/g) ?? []).filter((flag) =>
    !flag.startsWith("--allow-scripts")
  )
    .sort();
}

function taskCommand(name: string): string {
  return new RegExp(`"${name}": \\{\\s*"description": .*\\s*"command": "(.*)"`).exec(read("deno.json"))![1]!;
}

/** The first document of `kind` in spectrum.yaml. */
function manifest<T>(kind: string): T {
  const text = read("deploy/kubernetes/spectrum.yaml").split(/^---$/m).find((part) =>
    part.includes(`\nkind: ${kind}\n`)
  );
  return parse(text!) as T;
}

describe("deploy/", () => {
  it("containers have the permissions of the tasks", () => {
    for (const name of ["edge", "worker"]) {
      const allowed = permissions(read(`deploy/Containerfile.${name}`));
      assert.ok(allowed.length > 0);
      assert.deepEqual(allowed, permissions(taskCommand(name)), name);
    }
  });

  it("compose builds files that exist and sets variables that the edge may read", () => {
    const { services } = parse(read("deploy/compose.yaml")) as Compose;
    assert.deepEqual(Object.keys(services).sort(), ["edge", "redis", "redis-rest", "worker"]);
    for (const { build } of Object.values(services)) if (build) read(build.dockerfile);
    const readable = /--allow-env=([\w,]+)/.exec(taskCommand("edge"))![1]!.split(",");
    for (const name of Object.keys(services.edge!.environment!)) assert.ok(readable.includes(name), name);
  });

  it("pods are probed where the processes answer, and outlive their preStop", () => {
    const pod = manifest<{ spec: { template: { spec: Pod } } }>("Deployment").spec.template.spec;
    const sources: Record<string, string> = {
      edge: read("routes/app.ts"),
      worker: read("gpu-worker/http/worker_app.ts"),
    };
    assert.deepEqual(pod.containers.map(({ name }) => name).sort(), Object.keys(sources).sort());
    for (const { name, ports, readinessProbe, livenessProbe, lifecycle } of pod.containers) {
      for (const { httpGet } of [readinessProbe, livenessProbe]) {
        assert.ok(sources[name]!.includes(`app.get("${httpGet.path}"`), httpGet.path);
        assert.ok(ports.some((port) => port.name === httpGet.port), httpGet.port);
      }
      assert.ok(lifecycle.preStop.sleep.seconds + 60 <= pod.terminationGracePeriodSeconds, name);
    }
  });

  it("KEDA scales the deployment by a metric that workers export", async () => {
    const { spec } = parse(read("deploy/kubernetes/scaled_object.yaml")) as {
      spec: { scaleTargetRef: { name: string }; triggers: { metadata: { query: string } }[] };
    };
    const { metadata } = manifest<{ metadata: { name: string } }>("Deployment");
    assert.equal(spec.scaleTargetRef.name, metadata.name);
    const metrics = new WorkerMetrics();
    metrics.observeQueue({ depth: 0, busy: false });
    const name = /spectrum_\w+/.exec(spec.triggers[0]!.metadata.query)![0];
    assert.match(await metrics.text(), new RegExp(`^# TYPE ${name} gauge$`, "m"));
  });
});
