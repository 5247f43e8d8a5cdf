// Selects the files of a model repository that a pipeline needs. Repositories often hold the same weights
// several times: in other precisions, as pickles, for other runtimes, and as one file at the top.
import type { HubFile } from "./hub_file.ts";

export interface SelectOptions {
  /** Parsed model_index.json. */
  index: Record<string, unknown>;
  /** Precision to prefer if a component has it, by diffusers' name: "fp16". @default the plain files */
  variant?: string | undefined;
  /** Components of which the weights are needed too. @default all */
  only?: readonly string[] | undefined;
}

/**
 * Components are arguments of a Python class. Other names, such as `..` or `.ssh`, are no pipeline folders.
 */
const COMPONENT = /^[A-Za-z]\w*$/;
/** Components that our pipelines never read. */
const UNUSED_COMPONENTS = ["safety_checker", "feature_extractor", "image_encoder"];
/** Files beside model_index.json: defaults, and the prompts that the model was trained on. */
const TOP_LEVEL = ["model_index.json", "spectrum.json", "names.txt"];
const CONFIGS = ["config.json", "scheduler_config.json"];
const TOKENIZER = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "spiece.model",
  "tokenizer.model",
];
const STEMS = ["model", "diffusion_pytorch_model"];

/**
 * Returns the files that a pipeline needs.
 * @throws {RangeError} if a component has weights, but not as safetensors or not in that precision, or if the
 * pipeline has none of the name.
 */
export function selectPipelineFiles(
  files: readonly HubFile[],
  { index, variant, only }: SelectOptions,
): HubFile[] {
  const components = Object.entries(index).flatMap(([name, entry]) => {
    const isComponent = Array.isArray(entry) && typeof entry[1] === "string" && COMPONENT.test(name);
    return isComponent && !UNUSED_COMPONENTS.includes(name) ? [name] : [];
  });
  const unknown = only?.find((name) => !components.includes(name));
  if (unknown !== undefined) {
    throw new RangeError(
      `Cannot pull '${unknown}' as the pipeline has no such component: it has ${components.join(", ")}`,
    );
  }
  return [
    ...files.filter(({ path }) => TOP_LEVEL.includes(path)),
    ...components.flatMap((component) =>
      selectComponent(component, { files, variant, weights: only?.includes(component) ?? true })
    ),
  ];
}

/**
 * Returns the files of a repository that is one network, such as a ControlNet.
 * @returns undefined if it is none
 * @throws {RangeError} if its weights are not safetensors, or not in that precision.
 */
export function selectNetworkFiles(
  files: readonly HubFile[],
  { variant }: Pick<SelectOptions, "variant">,
): HubFile[] | undefined {
  const own = new Map(files.filter(({ path }) => !path.includes("/")).map((file) => [file.path, file]));
  const isNetwork = own.has("config.json") &&
    own.keys().some((name) => name.startsWith("diffusion_pytorch_model."));
  return isNetwork ? selectNetwork("the network", { own, variant, weights: true }) : undefined;
}

function selectComponent(
  component: string,
  { files, ...options }: { files: readonly HubFile[]; variant: string | undefined; weights: boolean },
): HubFile[] {
  const own = new Map(files.flatMap((file) => {
    const [folder, name, ...deeper] = file.path.split("/");
    return folder === component && name !== undefined && deeper.length === 0 ? [[name, file] as const] : [];
  }));
  return selectNetwork(component, { own, ...options });
}

/** @param options.own the files of the component, by name */
function selectNetwork(
  component: string,
  { own, variant, weights }: {
    own: ReadonlyMap<string, HubFile>;
    variant: string | undefined;
    weights: boolean;
  },
): HubFile[] {
  const pick = (names: Iterable<string>) => [...names].flatMap((name) => own.get(name) ?? []);
  const small = pick([...CONFIGS, ...TOKENIZER]);
  if (!weights || !own.has("config.json")) return small;
  const precisions = variant === undefined ? [undefined] : [variant, undefined];
  for (const precision of precisions) {
    const found = pick(weightNames([...own.keys()], precision));
    if (found.length > 0) return [...small, ...found];
  }
  const others = [...own.keys()].filter((name) => STEMS.some((stem) => name.startsWith(`${stem}.`)));
  throw new RangeError(
    `Cannot pull '${component}' as it holds no ${variant ?? "full-precision"} safetensors` +
      (others.length === 0 ? "" : `: there is ${others.join(", ")} (--variant fp16 selects fp16)`),
  );
}

/**
 * Returns the names of a component's weights: one file, or an index and its shards (model.fp16.safetensors,
 * model.safetensors.index.fp16.json, model.fp16-00001-of-00002.safetensors).
 */
function weightNames(names: readonly string[], variant: string | undefined): string[] {
  const infix = variant === undefined ? "" : `.${variant}`;
  for (const stem of STEMS) {
    const single = `${stem}${infix}.safetensors`;
    const index = `${stem}.safetensors.index${infix}.json`;
    // If both exist, transformers reads the file and diffusers follows the index.
    const followsIndex = stem === "diffusion_pytorch_model" && names.includes(index);
    if (names.includes(single) && !followsIndex) return [single];
    const shard = (name: string) =>
      name.startsWith(`${stem}${infix}-`) &&
      /^-\d{5}-of-\d{5}\.safetensors$/.test(name.slice(stem.length + infix.length));
    if (names.includes(index)) return [index, ...names.filter(shard)];
  }
  return [];
}
