// From a graph to a session that reads its weights from the checkpoint's files.
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { Runtime, Session } from "../runtime/mod.ts";

/** The caller owns the session. */
export async function loadSession(runtime: Runtime, model: OnnxModel): Promise<Session> {
  return await runtime.createSession(model.bytes, {
    name: model.name,
    externalDataFolder: model.externalDataFolder,
  });
}
