// Mesa's lavapipe, a Vulkan device in software that computes in float16, as SwiftShader does not.
// A process opens one device for good, so tests start a process for it.
import { basename, isAbsolute, join } from "node:path";
import { findProgram, skipWithout } from "../installed.ts";

/** Folders of the Vulkan loader. The file's name tells the processor in newer versions. */
const FOLDERS = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
const LIBRARY_FOLDERS = ["/usr/lib", "/usr/lib64", `/usr/lib/${Deno.build.arch}-linux-gnu`];

const found = findProgram(
  ...FOLDERS.flatMap((folder) => [`${folder}/lvp_icd.${Deno.build.arch}.json`, `${folder}/lvp_icd.json`]),
);

/**
 * For the `skip` of describe() and it(): false where lavapipe and a C compiler are
 * installed, else the reason.
 */
export const NO_LAVAPIPE: string | false =
  skipWithout("lavapipe", { found, hint: "Debian's package mesa-vulkan-drivers" }) || skipWithout("cc");

/** The driver for processes that get `env`. */
export class Lavapipe implements Disposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "lavapipe-" });
  /** Environment variables that select the device. */
  readonly env: Record<string, string>;

  /** @throws {Error} if the driver does not compile. */
  constructor() {
    const source = join(import.meta.dirname!, "vulkan_driver.c");
    const library = join(this.#folder, "libvulkan_driver.so");
    const { code, stderr } = new Deno.Command("cc", {
      args: ["-shared", "-fPIC", "-fvisibility=hidden", "-O1", source, "-o", library, "-ldl"],
    }).outputSync();
    if (code !== 0) throw new Error(`Cannot compile ${source}: ${new TextDecoder().decode(stderr)}`);
    const { ICD: { api_version } } = JSON.parse(Deno.readTextFileSync(found!));
    const driver = join(this.#folder, "vulkan_driver.json");
    Deno.writeTextFileSync(
      driver,
      JSON.stringify({ file_format_version: "1.0.0", ICD: { library_path: library, api_version } }),
    );
    this.env = {
      LAVAPIPE: libraryPath(),
      VK_ICD_FILENAMES: driver,
      VK_DRIVER_FILES: driver,
      // Mesa's layer looks for a display and complains on each start where there is none.
      NODEVICE_SELECT: "1",
    };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** A driver's file names its library by a path, or by a name that the system's linker finds. */
function libraryPath(): string {
  const { ICD: { library_path: path } } = JSON.parse(Deno.readTextFileSync(found!));
  if (isAbsolute(path)) return path;
  return findProgram(...LIBRARY_FOLDERS.map((folder) => join(folder, basename(path)))) ?? path;
}
