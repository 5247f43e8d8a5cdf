// The devices that this machine offers to an execution provider.
import { cpus } from "node:os";
import type { DType } from "./dtype.ts";
import { nvidiaCards } from "./nvml.ts";
import { ortVersion } from "./ort_api.ts";
import type { ProviderName } from "./provider.ts";
import { ProviderUnavailableError } from "./provider_unavailable_error.ts";
import { Runtime } from "./runtime.ts";
import { requestAdapter } from "./webgpu/adapter.ts";

/** A provider's device on this machine. */
export interface DeviceDescription {
  /** The execution provider. */
  provider: ProviderName;
  /** The device's name, if it tells one. */
  name?: string;
  /** The device's own memory, or the machine's. */
  memoryBytes?: number;
  /** Types that graphs compute in. */
  dtypes: readonly DType[];
  /** Driver and its version. */
  driver?: string;
  /** Why the provider does not work, and what to do about it. */
  problem?: string;
}

const TYPES = ["float32", "float16", "bfloat16"] as const;

/** Describes the device that `Runtime.open({ provider })` would use. */
export async function describeDevice(provider: ProviderName): Promise<DeviceDescription> {
  const facts = await factsOf(provider);
  try {
    using runtime = Runtime.open({ provider });
    const dtypes: DType[] = [];
    for (const dtype of TYPES) {
      const isUsable = provider === "cpu" ? dtype === "float32" : await runtime.supports(dtype);
      if (isUsable) dtypes.push(dtype);
    }
    return { provider, ...facts, dtypes };
  } catch (error) {
    if (!(error instanceof ProviderUnavailableError)) throw error;
    return { provider, ...facts, dtypes: [], problem: error.message };
  }
}

/** Returns the device's name for receipts: "webgpu: Apple M2". The name is left out if it tells none. */
export async function deviceName(provider: ProviderName): Promise<string> {
  const { name } = await factsOf(provider);
  return name === undefined ? provider : `${provider}: ${name}`;
}

async function factsOf(
  provider: ProviderName,
): Promise<Pick<DeviceDescription, "name" | "memoryBytes" | "driver">> {
  switch (provider) {
    case "cpu": {
      const model = cpus()[0]?.model.trim();
      const memoryBytes = Deno.systemMemoryInfo().total;
      return { ...model && { name: model }, memoryBytes, driver: `ONNX Runtime ${ortVersion()}` };
    }
    case "cuda": {
      const [card] = nvidiaCards();
      if (card === undefined) return {};
      return { name: card.name, memoryBytes: card.memoryBytes, driver: `NVIDIA ${card.driver}` };
    }
    case "webgpu":
      return await webgpuFacts();
    default:
      return provider satisfies never;
  }
}

async function webgpuFacts(): Promise<Pick<DeviceDescription, "name">> {
  const info = (await requestAdapter())?.info;
  const name = info && (info.description || `${info.vendor} ${info.architecture}`.trim());
  return { ...name && { name } };
}
