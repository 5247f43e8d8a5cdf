// Profiles every graph that is loaded on a device, whoever loads it.
import { Runtime, type Session } from "../../../gpu-worker/runtime/mod.ts";
import { leftOnCpu } from "./left_on_cpu.ts";

export interface Placement extends Disposable {
  /**
   * Ends the profiles of all graphs that were loaded since the last call.
   * @returns nodes that ran on the CPU, as "graph: Op name"
   */
  left(): Promise<string[]>;
}

/** Records until it is disposed of. Sessions must live until `left` was called. */
export function recordPlacement(): Placement {
  const folder = Deno.makeTempDirSync({ prefix: "placement-" });
  const sessions: Session[] = [];
  let count = 0;
  const { createSession } = Runtime.prototype;
  Runtime.prototype.createSession = async function (model, options) {
    if (this.provider === "cpu") return await createSession.call(this, model, options);
    const profilePrefix = `${folder}/${count++}`;
    const session = await createSession.call(this, model, { ...options, profilePrefix });
    sessions.push(session);
    return session;
  };
  return {
    left: async () => {
      const left: string[] = [];
      for (const session of sessions.splice(0)) {
        for (const node of await leftOnCpu(session.endProfiling())) left.push(`${session.name}: ${node}`);
      }
      return left;
    },
    [Symbol.dispose]: () => {
      Runtime.prototype.createSession = createSession;
      Deno.removeSync(folder, { recursive: true });
    },
  };
}
