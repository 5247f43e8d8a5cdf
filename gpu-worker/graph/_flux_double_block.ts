// A block that keeps image and text in two streams, joined in attention only (diffusers' FluxTransformerBlock).
import { FLUX_NORM_EPS, fluxAttention, type FluxContext, fluxProjections } from "./_flux_attention.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { activation } from "./layers/activation.ts";
import { adaptiveLayerNorm } from "./layers/adaptive_layer_norm.ts";
import type { AttentionInputs } from "./layers/attention.ts";
import { clampFloat16 } from "./layers/clamp_float16.ts";
import { gatedResidual } from "./layers/gated_residual.ts";
import { linear } from "./layers/linear.ts";
import { modulation } from "./layers/modulation.ts";

/** The two token streams, [batch, image_tokens | text_tokens, innerDim]. */
export interface FluxStreams {
  image: Value;
  text: Value;
}

/** Emits the block called `name`. */
export function fluxDoubleBlock(
  graph: GraphBuilder,
  { image, text }: FluxStreams,
  { name, context }: { name: string; context: FluxContext },
): FluxStreams {
  const imageStream = stream(graph, image, { name, context, kind: "image" });
  const textStream = stream(graph, text, { name, context, kind: "text" });
  const join = (part: keyof AttentionInputs) =>
    graph.node("Concat", [textStream.projections[part], imageStream.projections[part]], {
      attributes: { axis: 1 },
    });
  const joint = { query: join("query"), key: join("key"), value: join("value") };
  const attended = fluxAttention(graph, joint, context);
  const [attendedText, attendedImage] = graph.nodes("Split", [attended, context.tokenCounts], {
    attributes: { axis: 1 },
    outputs: 2,
  });
  return {
    image: imageStream.finish(attendedImage!),
    text: clampFloat16(graph, textStream.finish(attendedText!)),
  };
}

interface StreamOptions {
  name: string;
  context: FluxContext;
  kind: keyof FluxStreams;
}

const LAYERS = {
  image: { modulation: "norm1.linear", attentionOut: "attn.to_out.0", feedForward: "ff" },
  text: { modulation: "norm1_context.linear", attentionOut: "attn.to_add_out", feedForward: "ff_context" },
} as const;

/** One stream up to the attention, and what is left to do with the attention's result. */
function stream(graph: GraphBuilder, x: Value, { name, context, kind }: StreamOptions) {
  const { config, conditioning } = context;
  const { innerDim: features } = config;
  const layers = LAYERS[kind];
  const [shift, scale, gate, feedForwardShift, feedForwardScale, feedForwardGate] = modulation(
    graph,
    conditioning,
    { name: `${name}.${layers.modulation}`, features, parts: 6 },
  ) as [Value, Value, Value, Value, Value, Value];
  const normed = adaptiveLayerNorm(graph, x, { scale, shift, features, eps: FLUX_NORM_EPS });

  const finish = (attended: Value): Value => {
    const out = linear(graph, attended, {
      name: `${name}.${layers.attentionOut}`,
      inFeatures: features,
      outFeatures: features,
    });
    const middle = gatedResidual(graph, x, { gate, branch: out });
    const normed = adaptiveLayerNorm(graph, middle, {
      scale: feedForwardScale,
      shift: feedForwardShift,
      features,
      eps: FLUX_NORM_EPS,
    });
    const branch = feedForward(graph, normed, { name: `${name}.${layers.feedForward}`, features });
    return gatedResidual(graph, middle, { gate: feedForwardGate, branch });
  };
  return {
    projections: fluxProjections(graph, normed, { config, name: `${name}.attn`, stream: kind }),
    finish,
  };
}

function feedForward(
  graph: GraphBuilder,
  x: Value,
  { name, features }: { name: string; features: number },
): Value {
  const hidden = linear(graph, x, {
    name: `${name}.net.0.proj`,
    inFeatures: features,
    outFeatures: 4 * features,
  });
  return linear(graph, activation(graph, hidden, "gelu_pytorch_tanh"), {
    name: `${name}.net.2`,
    inFeatures: 4 * features,
    outFeatures: features,
  });
}
