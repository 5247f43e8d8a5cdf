// The rules of ARCHITECTURE.md's layers, as a check of a list of imports.
import type { Import } from "./read_imports.ts";

/** The worker's layers and what lies below them, top to bottom. Layers in one row do not know each other. */
const LAYERS: readonly (readonly string[])[] = [
  ["gpu-worker/main.ts"],
  ["gpu-worker/cli", "gpu-worker/http"],
  ["gpu-worker/flags"],
  ["gpu-worker/model"],
  ["gpu-worker/families"],
  ["gpu-worker/pipeline"],
  ["gpu-worker/denoiser", "gpu-worker/text", "gpu-worker/vae"],
  ["gpu-worker/session"],
  ["gpu-worker/graph"],
  ["gpu-worker/checkpoint"],
  ["gpu-worker/request"],
  ["gpu-worker/runtime", "gpu-worker/media"],
];

/** Folders that a top-level folder may import besides itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  sampler: [],
  protocol: ["sampler"],
  "gpu-worker": ["sampler", "protocol"],
  routes: ["sampler", "protocol"],
  deploy: ["sampler", "protocol", "routes", "gpu-worker"],
};

/** @returns one line for each import or circle that breaks a rule: `file -> file: rule`. */
export function findViolations(imports: readonly Import[]): string[] {
  return [...imports.flatMap((found) => violationsOf(found)), ...findCircles(imports)].sort();
}

function violationsOf({ from, to, isPackage }: Import): string[] {
  const broken = isPackage
    ? [packageRule(from)]
    : [folderRule(from, to), layerRule(from, to), familyRule(from, to)];
  const rules = broken.filter((rule) => rule !== undefined);
  return rules.map((rule) => `${from} -> ${to}: ${rule}`);
}

/** The sampler is the method alone, for others to take as it is. */
function packageRule(from: string): string | undefined {
  return topOf(from) === "sampler" ? "sampler may import nothing outside itself" : undefined;
}

function folderRule(from: string, to: string): string | undefined {
  const [folder, target] = [topOf(from), topOf(to)];
  if (target === folder || ALLOWED[folder]?.includes(target)) return undefined;
  const allowed = ALLOWED[folder]?.join(", ");
  return `${folder} may import ${allowed ? `only ${allowed}` : "nothing"} outside itself`;
}

function layerRule(from: string, to: string): string | undefined {
  if (topOf(from) !== "gpu-worker" || topOf(to) !== "gpu-worker") return undefined;
  const [above, below] = [layerOf(from), layerOf(to)];
  for (const [path, layer] of [[from, above], [to, below]] as const) {
    if (layer === undefined) return `${path} belongs to no layer`;
  }
  if (above!.name === below!.name || above!.row < below!.row) return undefined;
  return above!.row === below!.row
    ? `${above!.name} and ${below!.name} are layers of one rank`
    : `${above!.name} lies below ${below!.name}`;
}

function familyRule(from: string, to: string): string | undefined {
  const [family, other] = [familyOf(from), familyOf(to)];
  if (family === undefined || other === undefined || family === other) return undefined;
  return "a family imports no other family";
}

/**
 * In each folder, its files and subfolders form no circle; an import counts for the two entries of the folder
 * that hold both of its ends. So no two files and no two folders need each other, wherever they lie.
 */
function findCircles(imports: readonly Import[]): string[] {
  const folders = new Map<string, Map<string, Import[]>>();
  for (const found of imports) {
    if (found.isPackage) continue;
    const { folder, entry } = meetingOf(found);
    // The rules above leave no circle between top-level folders or layers.
    if (entry === undefined || folder === "" || folder === "gpu-worker/") continue;
    const edges = folders.get(folder) ?? new Map<string, Import[]>();
    folders.set(folder, edges);
    edges.set(entry, [...edges.get(entry) ?? [], found]);
  }
  return [...folders].flatMap(([folder, edges]) => circlesOf(folder, edges));
}

function circlesOf(folder: string, edges: Map<string, Import[]>): string[] {
  const entryIn = (path: string) => path.slice(folder.length).split("/", 1)[0]!;
  const targets = (entry: string) => new Set((edges.get(entry) ?? []).map(({ to }) => entryIn(to)));
  const reach = new Map([...edges.keys()].map((entry) => [entry, reachable(entry, targets)]));
  return [...edges.values()].flat().flatMap(({ from, to }) => {
    const [entry, target] = [entryIn(from), entryIn(to)];
    if (!reach.get(target)?.has(entry)) return [];
    return [
      `${from} -> ${to}: ${folder}${target} already imports ${folder}${entry}, so this closes a circle`,
    ];
  });
}

function reachable(start: string, targets: (entry: string) => Set<string>): Set<string> {
  const seen = new Set<string>();
  const open = [start];
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    for (const next of targets(entry)) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  return seen;
}

/**
 * The deepest folder that holds both files, "" or ending in a slash, and the entry of it that holds `from`.
 */
function meetingOf({ from, to }: Import): { folder: string; entry: string | undefined } {
  const [parts, others] = [from.split("/"), to.split("/")];
  const shared = parts.findIndex((part, index) => part !== others[index]);
  const folder = parts.slice(0, shared).map((part) => `${part}/`).join("");
  return { folder, entry: shared === -1 ? undefined : parts[shared] };
}

function layerOf(path: string): { name: string; row: number } | undefined {
  for (const [row, names] of LAYERS.entries()) {
    const name = names.find((name) => path === name || path.startsWith(`${name}/`));
    if (name !== undefined) return { name, row };
  }
  return undefined;
}

function familyOf(path: string): string | undefined {
  return /^gpu-worker\/families\/([^/]+)\//.exec(path)?.[1];
}

function topOf(path: string): string {
  return path.split("/", 1)[0]!;
}
