// Which nodes of a graph computed on the CPU although its session has another provider.

interface ProfileEvent {
  cat: string;
  name: string;
  args?: {
    op_name?: string;
    provider?: string;
    input_type_shape?: Record<string, unknown>[];
    output_type_shape?: Record<string, unknown>[];
  };
}

/**
 * Reads a profile that `Session.endProfiling` has written.
 * Sizes, indices and positions are left out: they are whole numbers, which ONNX Runtime computes
 * on the CPU by design, as they decide the shapes of what runs after them. So are their casts
 * to floats, which have an element for each token at most.
 * @returns the other nodes that the CPU provider ran, as "Op name"
 */
export async function leftOnCpu(profile: string): Promise<string[]> {
  const events: ProfileEvent[] = JSON.parse(await Deno.readTextFile(profile));
  const left = new Set<string>();
  for (const { cat, name, args } of events) {
    if (cat !== "Node" || !name.endsWith("_kernel_time") || !/^CPU/.test(args?.provider ?? "")) continue;
    const { op_name: op, input_type_shape: inputs = [], output_type_shape: outputs = [] } = args!;
    if (isWhole(outputs) || op === "Cast" && isWhole(inputs)) continue;
    left.add(`${op} ${name.replace(/_kernel_time$/, "")}`);
  }
  return [...left];
}

function isWhole(values: readonly Record<string, unknown>[]): boolean {
  return values.flatMap(Object.keys).every((type) => /^(int64|int32|bool)$/.test(type));
}
