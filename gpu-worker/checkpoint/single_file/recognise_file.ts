// Recognises what a single file holds, by the names and shapes of its tensors and never by the file's name.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { readTensors } from "../read_tensors.ts";
import type { WeightEntry, Weights } from "../weights.ts";
import type { Architecture, Part, Variant, VariantOptions } from "./architecture.ts";
import type { Layout } from "./layout.ts";
import { otherKind } from "./other_kinds.ts";
import { placeTensors } from "./place_tensors.ts";

export interface RecognisedFile {
  architecture: Architecture;
  variant: Variant;
  /** The networks in the file, by component, in diffusers' names. */
  networks: ReadonlyMap<string, Weights>;
}

/** A network's tensors in a file, named without their prefix. */
interface Found {
  layout: Layout;
  prefix: string;
  tensors: Weights;
}

/** Names that many files carry and no run reads: buffers of training, averages of weights, markers. */
const UNUSED = new RegExp(
  [
    /(?:^|\.)(?:logit_scale|scaled_fp8|comfy_attention\.config)$/,
    /^(?:model_ema|embedding_manager)\./,
    // The tokenizer that ComfyUI saves with all networks.
    /^text_encoders\.spiece_model$/,
    /^(?:alphas_cumprod|betas|sqrt_|log_one_minus|posterior_|lvlb_weights)/,
    /^(?:denoiser\.sigmas|v_pred|ztsnr)$/,
  ].map(({ source }) => source).join("|"),
);

/** Number of unknown names in an error. */
const SHOWN = 5;

/**
 * Recognises a denoiser with what else is in its file.
 * @throws {CheckpointError} saying what the file is instead, or which of its tensors are unknown.
 */
export function recogniseFile(
  path: string,
  architectures: readonly Architecture[],
  options: Partial<VariantOptions> = {},
): RecognisedFile {
  return recogniseTensors(readTensors(path), { path, architectures, ...options });
}

/** Recognises the tensors of the file at `path`, as `recogniseFile` does. */
export function recogniseTensors(
  tensors: Weights,
  { path, architectures, given = [] }:
    & { path: string; architectures: readonly Architecture[] }
    & Partial<
      VariantOptions
    >,
): RecognisedFile {
  const hits = architectures.flatMap((architecture) => {
    const found = find(tensors, architecture.denoiser.layouts.flatMap(withPrefixes));
    return found === undefined ? [] : [{ architecture, found }];
  });
  if (hits.length === 0) {
    throw new CheckpointError(`Cannot use ${path} as a model as ${otherKind(tensors, architectures)}`);
  }
  if (hits.length > 1) {
    const names = hits.map(({ architecture }) => architecture.denoiser.className).join(" and ");
    throw new CheckpointError(`Cannot use ${path} as it holds the tensors of two models: ${names}`);
  }
  const [{ architecture, found }] = hits as [typeof hits[0]];
  const parts = architecture.parts.filter(({ alone }) => alone !== true).flatMap((part) => {
    const inside = part.layouts.flatMap(withPrefixes).filter(({ prefix }) => prefix !== "");
    const own = find(tensors, inside);
    return own === undefined ? [] : [{ part, own }];
  });
  const rest = new Map(tensors);
  const networks = new Map<string, Weights>();
  const unknown: string[] = [];
  const claim = (part: Part, { layout, prefix, tensors }: Found) => {
    for (const name of tensors.keys()) rest.delete(prefix + name);
    const placed = placeTensors(tensors, layout);
    networks.set(part.component, placed.weights);
    unknown.push(
      ...placed.unknown.map((name) => prefix + name).filter((name) => !isUnused(name, architecture)),
    );
  };
  for (const { part, own } of parts) claim(part, own);
  // A denoiser without a prefix has the names that no other network has claimed.
  const { denoiser } = architecture;
  if (found.prefix === "") {
    found.tensors = new Map([...rest].filter(([name]) => !isUnused(name, architecture)));
  }
  claim(denoiser, found);
  unknown.push(...rest.keys().filter((name) => !isUnused(name, architecture)));
  // A variant that we do not support is refused by what it is, rather than by its unknown tensors.
  const variant = architecture.variant(networks.get(denoiser.component)!, tensors, { given });
  refuseUnknown(path, unknown);
  return { architecture, variant, networks };
}

/**
 * Recognises one network in a file, alone or among others.
 * @throws {CheckpointError} if the file does not hold the network.
 */
export function recognisePart(path: string, part: Part): Weights {
  const tensors = readTensors(path);
  const found = find(tensors, part.layouts.flatMap(withPrefixes));
  if (found === undefined) {
    throw new CheckpointError(
      `Cannot use ${path} as '${part.component}' as it holds no network of class ${part.className} in a ` +
        "layout that we know",
    );
  }
  const { weights, unknown } = placeTensors(found.tensors, found.layout);
  refuseUnknown(path, unknown.filter((name) => !UNUSED.test(name)));
  return weights;
}

function withPrefixes(layout: Layout): { layout: Layout; prefix: string }[] {
  return layout.prefixes.map((prefix) => ({ layout, prefix }));
}

function find(
  tensors: Weights,
  candidates: readonly { layout: Layout; prefix: string }[],
): Found | undefined {
  for (const { layout, prefix } of candidates) {
    const own = under(tensors, prefix);
    if (own.size > 0 && layout.matches(own)) return { layout, prefix, tensors: own };
  }
  return undefined;
}

function under(tensors: Weights, prefix: string): Weights {
  if (prefix === "") return tensors;
  const own = new Map<string, WeightEntry>();
  for (const [name, entry] of tensors) {
    if (name.startsWith(prefix)) own.set(name.slice(prefix.length), entry);
  }
  return own;
}

function isUnused(name: string, { unused }: Architecture): boolean {
  return UNUSED.test(name) || unused?.test(name) === true;
}

function refuseUnknown(path: string, unknown: readonly string[]): void {
  if (unknown.length === 0) return;
  const first = unknown.slice(0, SHOWN).map((name) => `'${showValue(name)}'`).join(", ");
  throw new CheckpointError(
    `Cannot use ${path} as ${unknown.length} of its tensors ${
      unknown.length === 1 ? "belongs" : "belong"
    } to no part of the model: ${first}${unknown.length > SHOWN ? ", ..." : ""}`,
  );
}
