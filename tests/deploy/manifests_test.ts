// deploy/ describes the processes as they are, and its manifests are valid where
// a validator is installed.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parse } from "@std/yaml/parse";
import { BatchMetrics } from "../../deploy/batches/batch_metrics.ts";
import { WorkerMetrics } from "../../gpu-worker/http/worker_metrics.ts";
import { skipWithout } from "../installed.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));

interface Compose {
  services: Record<
    string,
    {
      environment?: Record<string, string>;
      build?: { dockerfile: string };
      volumes?: string[];
      command?: string[];
    }
  >;
}
interface Probe {
  httpGet: { path: string; port: string };
}
interface Container {
  name: string;
  ports: { name: string }[];
  env?: { name: string; value?: string }[];
  readinessProbe: Probe;
  livenessProbe: Probe;
  lifecycle: { preStop: { sleep: { seconds: number } } };
}
interface Workload {
  metadata: { name: string };
  spec: { template: { spec: { terminationGracePeriodSeconds: number; containers: Container[] } } };
}

/** Process -> what names its task, its image and its routes. */
const PROCESSES: Record<string, { image: string; app: string }> = {
  edge: { image: "edge", app: "routes/app.ts" },
  worker: { image: "worker", app: "gpu-worker/http/worker_app.ts" },
  batches: { image: "batches", app: "deploy/batches/batch_app.ts" },
};

/** Permissions that `command` asks for: its set, and flags beside it. */
function permissions(command: string): string[] {
  return (command.match(/(--allow-|-P=)[\w-]+(=[\w,.]+)?/g) ?? []).sort();
}

function taskCommand(name: string): string {
  return new RegExp(`"${name}": \\{\\s*"description": .*\\s*"command": "(.*)"`).exec(read("deno.json"))![1]!;
}

/** Variables that the permission set of that name allows; undefined: any. */
function readable(name: string): string[] | undefined {
  const set = new RegExp(`"permissions": \\{[^]*?\\n    "${name}": \\{([^}]*)\\}`).exec(
    read("deno.json"),
  )![1]!;
  return /"env": \[([^\]]*)\]/.exec(set)?.[1]?.match(/\w+/g) ?? undefined;
}

const documents = read("deploy/kubernetes/spectrum.yaml").split(/^---$/m)
  .map((text) => parse(text) as { kind: string } & Workload);
const workloads = documents.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet");
const scaled = parse(read("deploy/kubernetes/scaled_object.yaml")) as {
  spec: {
    scaleTargetRef: { kind: string; name: string };
    maxReplicaCount: number;
    triggers: { type: string; metadata: Record<string, string> }[];
  };
};

describe("deploy/", () => {
  it("containers have the permissions of the tasks", () => {
    for (const [name, { image }] of Object.entries(PROCESSES)) {
      const allowed = permissions(read(`deploy/Containerfile.${image}`));
      assert.deepEqual(allowed, [`-P=${name}`]);
      assert.deepEqual(allowed, permissions(taskCommand(name)), name);
    }
  });

  it("the worker's image has the CUDA build of the ONNX Runtime that deno.json names", () => {
    const [, version] = /"onnxruntime-node": "npm:onnxruntime-node@([\d.]+)"/.exec(read("deno.json"))!;
    const file = read("deploy/Containerfile.worker");
    assert.match(file, new RegExp(`onnxruntime-gpu==${version} `));
    assert.match(file, new RegExp(`libonnxruntime\\.so\\.${version} `));
    // PyPI's build links libcudart.so.13, as the errors say.
    assert.match(file, /nvidia\/cuda:13\.[\d.]+-cudnn-runtime/);
    for (const [, cuda] of `${file}${read("deploy/README.md")}`.matchAll(/CUDA (\d+)/g)) {
      assert.equal(cuda, "13");
    }
  });

  it("compose builds files that exist and sets variables that the edge may read", () => {
    const { services } = parse(read("deploy/compose.yaml")) as Compose;
    assert.deepEqual(
      Object.keys(services).sort(),
      ["batches", "edge", "front", "redis", "redis-queue", "redis-rest", "worker"],
    );
    for (const { build } of Object.values(services)) if (build) read(build.dockerfile);
    for (const name of Object.keys(services.edge!.environment!)) {
      assert.ok(readable("edge")!.includes(name), name);
    }
    read(`deploy/${services.front!.volumes![0]!.split(":")[0]}`);
    assert.ok(services["redis-queue"]!.command!.includes("noeviction"));
  });

  it("pods are probed where the processes answer, set variables they read, and outlive their preStop", () => {
    const containers = workloads.flatMap(({ spec }) =>
      spec.template.spec.containers.map((container) => ({ container, pod: spec.template.spec }))
    );
    assert.deepEqual(containers.map(({ container }) => container.name).sort(), Object.keys(PROCESSES).sort());
    for (const { container, pod } of containers) {
      const { name, ports, env = [], readinessProbe, livenessProbe, lifecycle } = container;
      for (const { httpGet } of [readinessProbe, livenessProbe]) {
        assert.ok(read(PROCESSES[name]!.app).includes(`app.get("${httpGet.path}"`), httpGet.path);
        assert.ok(ports.some((port) => port.name === httpGet.port), httpGet.port);
      }
      for (const variable of env) assert.ok(readable(name)?.includes(variable.name) ?? true, variable.name);
      assert.ok(lifecycle.preStop.sleep.seconds + 60 <= pod.terminationGracePeriodSeconds, name);
    }
  });

  it("edges are told of as many workers as there may be", () => {
    const edge = workloads.find(({ metadata }) => metadata.name === "spectrum-edge")!;
    const { value } = edge.spec.template.spec.containers[0]!.env!.find(({ name }) =>
      name === "SPECTRUM_WORKERS"
    )!;
    const expected = Array.from(
      { length: scaled.spec.maxReplicaCount },
      (_, index) => `http://spectrum-worker-${index}.spectrum-worker:8001`,
    );
    assert.deepEqual(value!.split(","), expected);
  });

  it("KEDA scales the workers by a metric that they export, and by the queue of batches", async () => {
    const { scaleTargetRef: { kind, name }, triggers } = scaled.spec;
    assert.ok(workloads.some((workload) => workload.kind === kind && workload.metadata.name === name));
    const metrics = new WorkerMetrics();
    metrics.observeQueue({ depth: 0, running: 0 });
    const metric = /spectrum_\w+/.exec(triggers[0]!.metadata.query!)![0];
    assert.match(await metrics.text(), new RegExp(`^# TYPE ${metric} gauge$`, "m"));
    const queue = new BatchMetrics(() => Promise.resolve({ waiting: 3 }));
    const [, series] = /max\((.+)\)/.exec(triggers[1]!.metadata.query!)!;
    assert.ok((await queue.text()).split("\n").includes(`${series} 3`));
  });

  it("Deno Deploy serves a module that exists", () => {
    const [, entrypoint] = /"entrypoint": "([^"]+)"/.exec(read("deno.json"))!;
    assert.match(read(entrypoint!), /export default/);
  });
});

const CONTAINERFILES = ["edge", "worker", "batches", "redis_rest"].map((name) =>
  `deploy/Containerfile.${name}`
);

/** From PyPI and Debian; each is skipped where it is not installed. */
const VALIDATORS: [name: string, args: string[]][] = [
  ["kubernetes-validate", ["--strict", "deploy/kubernetes/spectrum.yaml"]],
  ["check-jsonschema", ["--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"]],
  // DL3008: the version of ca-certificates is Debian's to say.
  ["hadolint", ["--failure-threshold", "warning", "--ignore", "DL3008", ...CONTAINERFILES]],
  ["haproxy", ["-c", "-q", "-f", "deploy/haproxy.cfg"]],
];

for (const [name, args] of VALIDATORS) {
  const run = (args: string[]) => new Deno.Command(name, { args }).outputSync();
  it(`${name} finds nothing wrong`, { skip: skipWithout(name) }, () => {
    const { success, stdout, stderr } = run(args);
    assert.ok(success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  });
}
