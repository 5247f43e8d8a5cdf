// The graphics adapter as Deno's own WebGPU describes it. ONNX Runtime neither names its adapter nor tells
// its limits, so Deno is asked for the adapter that it would choose under the same preference.

/** The part of the browser's GPUAdapter that is read. */
export interface Adapter {
  readonly info: { readonly vendor: string; readonly architecture: string; readonly description: string };
  readonly limits: { readonly maxBufferSize: number };
}

interface Gpu {
  requestAdapter(options: { powerPreference: "high-performance" }): Promise<Adapter | null>;
}

/** Returns the adapter, or undefined if there is none. */
export async function requestAdapter(): Promise<Adapter | undefined> {
  const { gpu } = navigator as { gpu?: Gpu };
  return await gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? undefined;
}
