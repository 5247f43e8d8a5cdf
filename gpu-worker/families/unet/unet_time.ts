// The conditioning of every resnet in a UNet: the timestep and, in SDXL, pooled text and the picture's sizes
// (UNet2DConditionModel's time_embedding and add_embedding).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { embeddingMlp } from "../../graph/layers/dense/embedding_mlp.ts";
import { sinusoidalEmbedding } from "../../graph/layers/dense/sinusoidal_embedding.ts";
import { timestepEmbedding } from "../../graph/layers/dense/timestep_embedding.ts";
import { TIME_IDS, type UNet2DConditionConfig } from "./unet_config.ts";

/**
 * Declares the input timestep [batch] and, if the config has `textTime`, text_embeds [batch, pooledDim] and
 * time_ids [batch, 6], all float32. Emits the activated embedding [batch, timeEmbedDim].
 */
export function unetTime(graph: GraphBuilder, config: UNet2DConditionConfig): Value {
  const { channels, timeEmbedDim: features, act, timestepPostAct, timeEmbeddingAct, textTime } = config;
  const waves = { flipSinToCos: config.flipSinToCos, freqShift: config.freqShift };
  const timestep = graph.input("timestep", ["batch"], "float32");
  let embedding = timestepEmbedding(graph, timestep, {
    name: "time_embedding",
    channels,
    features,
    act,
    ...waves,
  });
  if (timestepPostAct) embedding = activation(graph, embedding, timestepPostAct);
  if (textTime) {
    const { pooledDim, timeEmbedDim } = textTime;
    const pooled = graph.cast(graph.input("text_embeds", ["batch", pooledDim], "float32"));
    const ids = graph.input("time_ids", ["batch", TIME_IDS], "float32");
    const flat = graph.node("Reshape", [ids, graph.ints(-1)]);
    const perPicture = graph.node("Reshape", [
      sinusoidalEmbedding(graph, flat, { channels: timeEmbedDim, ...waves }),
      graph.ints(-1, TIME_IDS * timeEmbedDim),
    ]);
    const added = embeddingMlp(
      graph,
      graph.node("Concat", [pooled, perPicture], { attributes: { axis: 1 } }),
      {
        name: "add_embedding",
        inFeatures: pooledDim + TIME_IDS * timeEmbedDim,
        features,
      },
    );
    embedding = graph.node("Add", [embedding, added]);
  }
  if (timeEmbeddingAct) embedding = activation(graph, embedding, timeEmbeddingAct);
  // In diffusers each resnet activates the same vector. Here that happens once.
  return activation(graph, embedding, act);
}
