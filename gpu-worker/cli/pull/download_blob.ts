// Downloads one file of a repository into the cache's blobs/.
// Continues an earlier attempt, and checks the file before it counts.
import { createHash, type Hash } from "node:crypto";
import { existsSync } from "node:fs";
import { HubError } from "./hub_error.ts";
import type { HubFile } from "./hub_file.ts";
import type { HubRepository } from "./hub_repository.ts";
import { ATTEMPTS } from "./retry_delay.ts";

export interface DownloadOptions {
  repository: HubRepository;
  commit: string;
  /** Path of the finished file. Until then the bytes are in `<target>.incomplete`. */
  target: string;
  signal: AbortSignal;
  /** Called for every change: bytes received or already there; negative if bytes had to be dropped. */
  onBytes: (count: number) => void;
}

/**
 * Downloads `file` to `target`. A failure leaves a part that the next call continues.
 * @throws {HubError} if the hub refuses, or if the content
 * does not match the listing. The part is then removed.
 * @throws {Error} naming the path if it cannot be written (disk full, ...).
 */
export async function downloadBlob(file: HubFile, options: DownloadOptions): Promise<void> {
  const { repository, target, onBytes, signal } = options;
  if (existsSync(target)) return onBytes(file.size);
  const path = `${target}.incomplete`;
  using part = Deno.openSync(path, { read: true, write: true, create: true });
  // Another pull of the same file waits here and then finds the file complete.
  await part.lock(true);
  if (existsSync(target)) return onBytes(file.size);
  const progress: Progress = { written: 0, hash: startHash(file) };
  await continuePart(part, { file, progress, signal });
  onBytes(progress.written);

  for (let failures = 0; progress.written < file.size;) {
    const before = progress.written;
    try {
      await transfer(part, { ...options, file, progress });
    } catch (error) {
      if (signal.aborted || !(error instanceof HubError && error.transient)) throw error;
      failures = progress.written > before ? 1 : failures + 1;
      if (failures === ATTEMPTS) throw error;
      await repository.wait(error, failures);
    }
  }
  const found = progress.hash.digest("hex");
  if (found !== file.oid) {
    Deno.removeSync(path);
    throw new HubError(
      `Cannot use ${file.path} as its checksum is ${found}: the hub lists ${file.oid} (removed; ` +
        "pull again to download it again)",
    );
  }
  await part.sync();
  Deno.renameSync(path, target);
}

interface Progress {
  written: number;
  /** Hash of the bytes written so far. */
  hash: Hash;
}

function startHash({ lfs, size }: HubFile): Hash {
  return lfs ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

/** Hashes the bytes of an earlier attempt. A part that is longer than the file is discarded. */
async function continuePart(
  part: Deno.FsFile,
  { file, progress, signal }: { file: HubFile; progress: Progress; signal: AbortSignal },
): Promise<void> {
  if (part.statSync().size > file.size) part.truncateSync(0);
  const buffer = new Uint8Array(2 ** 20);
  for (let count; (count = await part.read(buffer)) !== null;) {
    signal.throwIfAborted();
    progress.hash.update(buffer.subarray(0, count));
    progress.written += count;
  }
}

async function transfer(
  part: Deno.FsFile,
  { repository, commit, file, target, progress, onBytes }: DownloadOptions & {
    file: HubFile;
    progress: Progress;
  },
): Promise<void> {
  const response = await repository.open(file.path, { commit, offset: progress.written });
  if (progress.written > 0 && !continues(response, progress.written)) {
    onBytes(-progress.written);
    part.truncateSync(0);
    part.seekSync(0, Deno.SeekMode.Start);
    progress.written = 0;
    progress.hash = startHash(file);
  }
  for await (const chunk of chunksOf(response, file.path)) {
    if (progress.written + chunk.length > file.size) {
      throw new HubError(
        `Cannot use ${file.path} as it is longer than the ${file.size} bytes that the hub lists`,
      );
    }
    await writeAll(part, { chunk, target });
    progress.hash.update(chunk);
    progress.written += chunk.length;
    onBytes(chunk.length);
  }
  if (progress.written < file.size) {
    throw new HubError(
      `Cannot pull ${file.path} as the connection ended at byte ${progress.written} of ${file.size}`,
      {
        transient: true,
      },
    );
  }
}

/** Returns whether the response continues at `offset`. A server may ignore the range and send everything. */
function continues({ status, headers }: Response, offset: number): boolean {
  return status === 206 && headers.get("Content-Range")?.startsWith(`bytes ${offset}-`) === true;
}

async function* chunksOf({ body }: Response, path: string): AsyncGenerator<Uint8Array> {
  try {
    if (body !== null) yield* body;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HubError(`Cannot pull ${path} as the connection broke: ${reason}`, { cause, transient: true });
  }
}

async function writeAll(
  part: Deno.FsFile,
  { chunk, target }: { chunk: Uint8Array; target: string },
): Promise<void> {
  try {
    for (let at = 0; at < chunk.length;) at += await part.write(chunk.subarray(at));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot write ${target}: ${reason} (the received part is kept; pull again to continue)`, {
      cause,
    });
  }
}
