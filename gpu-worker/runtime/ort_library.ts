// Finds the ONNX Runtime shared library: npm:onnxruntime-node's, or the one that SPECTRUM_ORT_LIBRARY names.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/**
 * Environment variable with the path of another libonnxruntime of the same version, e.g. PyPI's CUDA build.
 */
export const ORT_LIBRARY_VARIABLE = "SPECTRUM_ORT_LIBRARY";

const ARCHITECTURES: Record<string, string> = { x86_64: "x64", aarch64: "arm64" };
const LIBRARIES: Record<string, readonly [platform: string, file: string]> = {
  linux: ["linux", "libonnxruntime.so.1"],
  darwin: ["darwin", "libonnxruntime.1.dylib"],
  windows: ["win32", "onnxruntime.dll"],
};

/** Returns the absolute path of the library for this machine. The file may not exist. */
export function ortLibraryPath(): string {
  const chosen = Deno.env.get(ORT_LIBRARY_VARIABLE);
  if (chosen) return chosen;
  const { os, arch } = Deno.build;
  const library = LIBRARIES[os];
  if (library === undefined) {
    throw new Error(
      `Cannot find ONNX Runtime as npm:onnxruntime-node ships none for '${os}': ` +
        `name one with ${ORT_LIBRARY_VARIABLE}`,
    );
  }
  const [platform, file] = library;
  const manifest = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  return join(dirname(manifest), "bin", "napi-v6", platform, ARCHITECTURES[arch] ?? arch, file);
}
