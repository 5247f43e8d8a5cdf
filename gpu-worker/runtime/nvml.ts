// NVIDIA's cards by name, through the management library that their driver brings (NVML).

export interface NvidiaCard {
  name: string;
  memoryBytes: number;
  /** Version of the driver. */
  driver: string;
}

const LIBRARIES: Partial<Record<typeof Deno.build.os, string>> = {
  linux: "libnvidia-ml.so.1",
  windows: "nvml.dll",
};

const SYMBOLS = {
  nvmlInit_v2: { parameters: [], result: "i32" },
  nvmlShutdown: { parameters: [], result: "i32" },
  nvmlSystemGetDriverVersion: { parameters: ["buffer", "u32"], result: "i32" },
  nvmlDeviceGetCount_v2: { parameters: ["buffer"], result: "i32" },
  nvmlDeviceGetHandleByIndex_v2: { parameters: ["u32", "buffer"], result: "i32" },
  nvmlDeviceGetName: { parameters: ["u64", "buffer", "u32"], result: "i32" },
  // struct nvmlMemory_t { total, free, used }
  nvmlDeviceGetMemoryInfo: { parameters: ["u64", "buffer"], result: "i32" },
} as const;

/** Lists the cards, in CUDA's usual order. Empty without a driver. */
export function nvidiaCards(): NvidiaCard[] {
  const path = LIBRARIES[Deno.build.os];
  if (path === undefined) return [];
  let library;
  try {
    library = Deno.dlopen(path, SYMBOLS);
  } catch {
    return [];
  }
  using _ = { [Symbol.dispose]: () => library.close() };
  const { symbols: nvml } = library;
  if (nvml.nvmlInit_v2() !== 0) return [];
  try {
    const count = new Uint32Array(1);
    if (nvml.nvmlDeviceGetCount_v2(count) !== 0) return [];
    const driver = text((buffer) => nvml.nvmlSystemGetDriverVersion(buffer, buffer.length));
    return Array.from({ length: count[0]! }, (_, index) => {
      const handle = new BigUint64Array(1);
      nvml.nvmlDeviceGetHandleByIndex_v2(index, handle);
      const memory = new BigUint64Array(3);
      nvml.nvmlDeviceGetMemoryInfo(handle[0]!, memory);
      const name = text((buffer) => nvml.nvmlDeviceGetName(handle[0]!, buffer, buffer.length));
      return { name, memoryBytes: Number(memory[0]), driver };
    });
  } finally {
    nvml.nvmlShutdown();
  }
}

function text(fill: (buffer: Uint8Array<ArrayBuffer>) => void): string {
  const buffer = new Uint8Array(128);
  fill(buffer);
  return new TextDecoder().decode(buffer.subarray(0, buffer.indexOf(0)));
}
