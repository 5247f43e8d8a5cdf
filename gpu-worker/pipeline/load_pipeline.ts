// Loads a checkpoint of any family.
import { allSettled } from "../../sampler/mod.ts";
import type { ControlSessions } from "../denoiser/control_residuals.ts";
import type { DenoiserSessions } from "../denoiser/denoiser_shape.ts";
import { componentOf } from "../graph/component_of.ts";
import { featureSum } from "../graph/feature_sum.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import { type GraphSession, SessionLoader } from "../session/session_loader.ts";
import type { LoadedEncoder } from "../text/encode_text.ts";
import type { DType } from "../runtime/dtype.ts";
import { openTokenizer } from "../text/tokenizer/tokenizer.ts";
import { ImageEncoder } from "../vae/image_encoder.ts";
import { controlGraphsOf, type ControlNetGraphs } from "./control_net.ts";
import type { Family, FamilyReading, Graphs } from "./family.ts";
import { type LoadedParts, LoadedPipeline } from "./loaded_pipeline.ts";
import type { OpenOptions, Pipeline } from "./pipeline.ts";

/**
 * Loads every component of a checkpoint that `family` has read.
 * @throws {CheckpointError} if a config contradicts the weights.
 */
export async function loadPipeline(
  family: Family,
  reading: FamilyReading,
  options: OpenOptions,
): Promise<Pipeline> {
  const { runtime, dtype, model, vaeTiling, weightStore } = options;
  const graphs = reading.buildGraphs({ provider: runtime.provider });
  using stack = new DisposableStack();
  const sessions = stack.use(new SessionLoader(runtime, options));
  const { trunk, head, modulation, trunk2, head2, modulation2, vae, vaeEncoder } = graphs;
  const featureType = reading.denoiserType ?? dtype;
  const sumType = runtime.traits.hasAddresses ? undefined : featureType;
  const nets = (reading.controlNets ?? []).map(({ name }) => ({ name, ...controlGraphsOf(graphs, name) }));
  const encoding = loadEncoders(sessions, { graphs, reading });
  // ONNX Runtime loads a graph on one thread, so on the CPU several graphs load in less time at once.
  const isTogether = runtime.provider === "cpu";
  if (!isTogether) await encoding;
  const loading = loadNetwork(sessions, { trunk, head, modulation, nets, sumType });
  if (!isTogether) await loading;
  // Even if one fails, the sessions that the others load must have their owner.
  const [{ encoders, vision }, first, decoder] = await allSettled([encoding, loading, sessions.load(vae)]);
  const { controls } = first;
  const networks = [first.network];
  // A group of its own: under offloading, one network is freed before the other is loaded.
  if (trunk2 && head2) {
    const second = { trunk: trunk2, head: head2, modulation: modulation2, nets: [], sumType };
    networks.push((await loadNetwork(sessions, second)).network);
  }
  return new LoadedPipeline({
    model,
    encoders,
    vision,
    denoiser: { family, reading, runtime, dtype, networks, controls },
    network: { component: componentOf(trunk), dtype: featureType },
    decoder: family.decoder({
      runtime,
      reading,
      graphs,
      session: decoder,
      ...vaeTiling !== undefined && { vaeTiling },
    }),
    encoder: vaeEncoder &&
      stack.use(
        new ImageEncoder(runtime, async () => runtime.createSession(await weightStore.place(vaeEncoder))),
      ),
    prepareFrames: family.prepareFrames?.({
      runtime,
      reading,
      graphs,
      later: (graph) => sessions.later(graph),
    }),
    stack: stack.move(),
  });
}

/** Loads the text encoders. A vision encoder waits for its first image, unless every run has one. */
async function loadEncoders(
  sessions: SessionLoader,
  { graphs, reading: { tokenizers, rules } }: { graphs: Graphs; reading: FamilyReading },
): Promise<Pick<LoadedParts, "encoders" | "vision">> {
  const use = { isRare: true };
  const encoders: Record<string, LoadedEncoder> = {};
  for (const [name, folder] of Object.entries(tokenizers)) {
    const session = await sessions.load(graphs[name]!, use);
    encoders[name] = { session, tokenizer: openTokenizer(folder) };
  }
  const { visionEncoder } = graphs;
  const needsImages = (rules.references?.min ?? 0) > 0;
  const vision = visionEncoder &&
    (needsImages ? await sessions.load(visionEncoder, use) : sessions.later(visionEncoder, use));
  return { encoders, vision };
}

interface NetworkGraphs {
  trunk: OnnxModel;
  head: OnnxModel;
  modulation: OnnxModel | undefined;
  /** The ControlNets that act on the trunk. */
  nets: readonly ({ name: string } & ControlNetGraphs)[];
  /** Type of the features that are added one by one. Undefined where the trunk reads a whole history. */
  sumType: DType | undefined;
}

/** Loads a network. ControlNets alternate with the trunk, so all of them stay in memory together. */
async function loadNetwork(
  sessions: SessionLoader,
  { trunk, head, modulation, nets, sumType }: NetworkGraphs,
): Promise<{ network: DenoiserSessions; controls: Record<string, ControlSessions> }> {
  const loaded = await sessions.loadTogether<string>({
    trunk,
    head,
    ...modulation && { modulation },
    ...sumType && { featureSum: featureSum(sumType) },
    ...Object.fromEntries(nets.flatMap(({ name, net, hint }) => [
      [`net ${name}`, net],
      ...hint ? [[`hint ${name}`, hint]] : [],
    ])),
  });
  const controls = nets.map(({ name, hint }) => [
    name,
    { net: loaded[`net ${name}`]!, ...hint && { hint: loaded[`hint ${name}`]! } },
  ]);
  return {
    network: loaded as Record<"trunk" | "head", GraphSession>,
    controls: Object.fromEntries(controls),
  };
}
