// Prints the peak memory of its process: what peak_memory_test.ts starts.
import { peakMemoryBytes } from "../../../gpu-worker/cli/peak_memory.ts";

console.log(peakMemoryBytes());
