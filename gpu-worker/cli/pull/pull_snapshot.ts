// Stores a repository's snapshot in the cache: content in blobs/, links to it in snapshots/<commit>/, and
// last refs/<revision>, by which `--model` finds the snapshot. An incomplete snapshot is therefore not found.
import { existsSync, lstatSync, readlinkSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { repositoryFolder } from "../../checkpoint/hub_cache.ts";
import { downloadBlob } from "./download_blob.ts";
import { HubError } from "./hub_error.ts";
import type { HubFile } from "./hub_file.ts";
import { HubRepository, type HubRepositoryOptions } from "./hub_repository.ts";
import { selectNetworkFiles, selectPipelineFiles } from "./select_pipeline_files.ts";
import { showValue } from "../../../sampler/mod.ts";
import { writeAtomically } from "../write_atomically.ts";

export interface PullOptions extends HubRepositoryOptions {
  /** Branch, tag or commit. @default "main" */
  revision?: string | undefined;
  /** Precision to prefer: "fp16". @default the plain files */
  variant?: string | undefined;
  /** Components of which the weights are downloaded, besides all configs and tokenizers. @default all */
  only?: readonly string[] | undefined;
  /** Folder of the cache. */
  cache: string;
  onStart: (totalBytes: number) => void;
  /** Called with bytes received or already there; negative if bytes had to be dropped. */
  onBytes: (count: number) => void;
}

export interface PulledSnapshot {
  folder: string;
  commit: string;
  files: number;
  bytes: number;
}

const MAX_INDEX_BYTES = 2 ** 20;
/** Number of parallel downloads. One connection seldom fills a fast line. */
const PARALLEL = 4;

/**
 * Downloads the files of ORG/NAME that a pipeline needs into
 * the cache. The snapshot is found only when it is complete.
 * @throws {HubError} if the hub refuses, or sends something else than it lists.
 * @throws {RangeError} if the repository holds no pipeline, or no weights in that precision.
 */
export async function pullSnapshot(name: string, options: PullOptions): Promise<PulledSnapshot> {
  const { revision = "main", variant, only, cache, onStart, onBytes } = options;
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const repository = new HubRepository(name, { ...options, signal });
  const folder = join(cache, repositoryFolder(name));
  const commit = await repository.commit(revision);
  const listing = await repository.files(commit);

  const blob = ({ oid }: HubFile) => inside(folder, "blobs", oid);
  const download = (file: HubFile, onBytes: (count: number) => void) =>
    downloadBlob(file, { repository, commit, target: blob(file), signal, onBytes });
  Deno.mkdirSync(join(folder, "blobs"), { recursive: true });
  const indexFile = listing.find(({ path }) => path === "model_index.json");
  const network = indexFile === undefined ? selectNetworkFiles(listing, { variant }) : undefined;
  if (indexFile === undefined && network === undefined) {
    throw new RangeError(
      `Cannot pull ${name} as it holds no model_index.json: only diffusers checkpoints can be run`,
    );
  }
  if (indexFile !== undefined && indexFile.size > MAX_INDEX_BYTES) {
    throw new HubError(
      `Cannot pull ${name} as its model_index.json has ${indexFile.size} bytes: that is no index`,
    );
  }
  if (indexFile !== undefined) await download(indexFile, () => {});
  const files = indexFile === undefined
    ? network!
    : selectPipelineFiles(listing, { index: readIndex(blob(indexFile), name), variant, only });

  // Equal tokenizer files share a blob.
  const distinct = [...new Map(files.map((file) => [file.oid, file])).values()];
  await assertSpace(folder, distinct.map((file) => ({ path: blob(file), size: file.size })));
  const bytes = distinct.reduce((sum, { size }) => sum + size, 0);
  onStart(bytes);
  const queue = distinct.values();
  const drain = async () => {
    for (const file of queue) await download(file, onBytes);
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, drain));
  } catch (error) {
    failure.abort(error);
    throw error;
  }
  const snapshot = inside(folder, "snapshots", commit);
  for (const file of files) link(inside(snapshot, file.path), blob(file));
  if (revision !== commit) {
    await writeAtomically(inside(folder, "refs", revision), new TextEncoder().encode(commit));
  }
  return { folder: snapshot, commit, files: files.length, bytes };
}

function readIndex(path: string, name: string): Record<string, unknown> {
  let index: unknown;
  try {
    index = JSON.parse(Deno.readTextFileSync(path));
  } catch (cause) {
    throw new HubError(`Cannot pull ${name} as its model_index.json is not JSON`, { cause });
  }
  if (typeof index === "object" && index !== null && !Array.isArray(index)) {
    return index as Record<string, unknown>;
  }
  throw new HubError(`Cannot pull ${name} as its model_index.json is not a JSON object`);
}

/** Checks the free space before hours of download. */
async function assertSpace(folder: string, blobs: readonly { path: string; size: number }[]): Promise<void> {
  const missing = blobs.reduce((sum, { path, size }) => {
    if (existsSync(path)) return sum;
    return sum + size - (statSync(`${path}.incomplete`, { throwIfNoEntry: false })?.size ?? 0);
  }, 0);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (missing <= free) return;
  throw new Error(
    `Cannot pull as ${gigabytes(missing)} are missing and ${folder} has space for ${gigabytes(free)}`,
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

/**
 * Links `path` to `target`. A link that leads elsewhere, for
 * example since the cache was moved, is replaced. A file is kept.
 */
function link(path: string, target: string): void {
  const source = relative(dirname(path), target);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined) {
    if (!found.isSymbolicLink() || readlinkSync(path) === source) return;
    Deno.removeSync(path);
  }
  Deno.mkdirSync(dirname(path), { recursive: true });
  Deno.symlinkSync(source, path);
}

/**
 * Joins paths and checks that the result is inside `folder`. Names
 * are checked on entry; this is the last check before the disk.
 */
function inside(folder: string, ...parts: string[]): string {
  const path = join(folder, ...parts);
  if (path.startsWith(folder + sep)) return path;
  throw new HubError(`Cannot write ${showValue(path)} as it is outside ${folder}`);
}
