// SwiftShader, the Vulkan device in software that Chromium brings. WebGPU tests run on it,
// so that they need no GPU.
import { findProgram, skipWithout } from "./installed.ts";

const FOLDERS = [
  "/usr/lib/chromium",
  "/usr/lib64/chromium-browser",
  "/usr/lib/chromium-browser",
  "/snap/chromium/current/usr/lib/chromium-browser",
  "/opt/google/chrome",
];

const driver = findProgram(...FOLDERS.map((folder) => `${folder}/vk_swiftshader_icd.json`));
if (driver !== undefined) {
  // The Vulkan loader reads them when the first device is opened. Other drivers would
  // be slower or be refused.
  for (const name of ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"]) Deno.env.set(name, driver);
  // Mesa's layer looks for a display and complains on each start where there is none.
  Deno.env.set("NODEVICE_SELECT", "1");
}

/** For the `skip` of describe() and it(): false where SwiftShader is installed, else the reason. */
export const NO_SOFTWARE_GPU: string | false = skipWithout("SwiftShader", {
  found: driver,
  hint: "a part of Debian's package chromium; looked for vk_swiftshader_icd.json",
});
