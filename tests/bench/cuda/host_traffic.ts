// Bytes that a full pass and a run of forecasts copy between host and device, from ONNX Runtime's profile.
import { fluxFeeds } from "../../../gpu-worker/families/flux/flux_feeds.ts";
import { readFluxCheckpoint } from "../../../gpu-worker/families/flux/flux_checkpoint.ts";
import { featureSum } from "../../../gpu-worker/graph/feature_sum.ts";
import { leftOnCpu } from "../../gpu-worker/webgpu/left_on_cpu.ts";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import { OnnxDenoiser } from "../../../gpu-worker/denoiser/onnx_denoiser.ts";
import { type DType, type ProviderName, Runtime } from "../../../gpu-worker/runtime/mod.ts";

export interface HostTrafficOptions {
  model: string;
  provider: ProviderName;
  dtype: DType;
}

interface ProfileEvent {
  cat: string;
  name: string;
  args?: { op_name?: string; provider?: string; output_size?: string };
}

/** Tokens of text. */
const TEXT = 12;
const SIZE = { channels: 16, height: 32, width: 32 };
/** Weights that nodes copy while they compute may be as large as shapes and scalars are; features are not. */
const MAX_COPY_BYTES = 64 * 1024;

/**
 * Prints nodes by graph and provider.
 * @returns copies of more than shapes and scalars, which there should not be
 */
export async function hostTraffic({ model, provider, dtype }: HostTrafficOptions): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "spectrum-profile-" });
  const problems: string[] = [];
  try {
    using stack = new DisposableStack();
    const runtime = stack.use(Runtime.open({ provider }));
    const { buildGraphs, config } = readFluxCheckpoint(Checkpoint.open(model), dtype);
    const graphs = buildGraphs();
    const open = async (name: "trunk" | "head" | "modulation") =>
      stack.use(await runtime.createSession(graphs[name], { profilePrefix: `${folder}/${name}` }));
    const sessions = {
      trunk: await open("trunk"),
      head: await open("head"),
      modulation: await open("modulation"),
      ...!runtime.traits.hasAddresses && {
        featureSum: stack.use(
          await runtime.createSession(featureSum(dtype), { profilePrefix: `${folder}/featureSum` }),
        ),
      },
    };
    const prompt = {
      tokens: TEXT,
      embeds: new Float32Array(TEXT * config.jointAttentionDim).fill(0.1),
      pooled: new Float32Array(config.pooledProjectionDim).fill(0.1),
    };
    const feeds = stack.use(
      fluxFeeds(runtime, { config, branches: [prompt], size: SIZE, guidanceScale: 3.5 }),
    );
    const tokens = SIZE.height * SIZE.width / 4;
    const outputDims = [tokens, config.inChannels];
    const denoiser = stack.use(
      new OnnxDenoiser(runtime, sessions, {
        branches: 1,
        slots: 2,
        steps: 4,
        featureDims: [tokens, config.innerDim],
        featureType: dtype,
        outputDims,
        trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
        modulationFeeds: () => feeds.modulation([1000, 800, 600, 400]),
        guide: [1],
      }),
    );
    const latents = new Float32Array(tokens * config.inChannels).fill(0.5);
    const at = (step: number) => ({ step, timestep: 1000 - 200 * step, sigma: 1 - step / 5 });
    await denoiser.full({ ...at(0), latents, slot: 0 });
    await denoiser.full({ ...at(1), latents, slot: 1, check: Float64Array.of(1) });
    const weights = Float64Array.of(-1, 2);
    await denoiser.forecast([2, 3].map((step) => ({ ...at(step), weights })), {
      sums: [Float64Array.of(0.5, 0.5)],
    });

    const rows: Record<string, unknown>[] = [];
    for (const [name, session] of Object.entries(sessions)) {
      const profile = session.endProfiling();
      if (provider !== "cpu") {
        for (const node of await leftOnCpu(profile)) problems.push(`${name} leaves ${node} to the CPU`);
      }
      const events: ProfileEvent[] = JSON.parse(Deno.readTextFileSync(profile));
      const nodes = events.filter((event) => event.cat === "Node" && event.name.endsWith("_kernel_time"));
      const copies = nodes.filter(({ args }) => /^Memcpy/.test(args?.op_name ?? ""));
      for (const { name: node, args } of copies) {
        const bytes = Number(args?.output_size ?? 0);
        if (bytes > MAX_COPY_BYTES) problems.push(`${name} copies ${bytes} bytes in ${node}`);
      }
      const on = (wanted: RegExp) => nodes.filter(({ args }) => wanted.test(args?.provider ?? "")).length;
      const largest = Math.max(0, ...copies.map(({ args }) => Number(args?.output_size ?? 0)));
      rows.push({
        graph: name,
        "nodes run": nodes.length,
        "on the CPU": on(/^CPU/),
        "on the device": on(/^(?!CPU)/),
        copies: copies.length,
        "largest copy, bytes": largest,
      });
    }
    console.log(`nodes of two full passes and one run of two forecasts in ${dtype} on ${provider}`);
    console.table(rows);
    return problems;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
