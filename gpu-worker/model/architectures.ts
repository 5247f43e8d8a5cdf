// The list of models that single files may hold. A new one is a line here.
import type { Architecture } from "../checkpoint/single_file/architecture.ts";
import { fluxSingleFile } from "../families/flux/flux_single_file.ts";
import { sdSingleFile, sdxlSingleFile } from "../families/unet/unet_single_file.ts";

export const ARCHITECTURES: readonly Architecture[] = [fluxSingleFile, sdSingleFile, sdxlSingleFile];
