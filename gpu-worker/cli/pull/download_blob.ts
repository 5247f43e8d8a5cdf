// One file of a repository into the cache's blobs/: continued where an earlier attempt stopped, checked before it counts.
import { createHash, type Hash } from "node:crypto";
import { existsSync } from "node:fs";
import { HubError } from "./hub_error.ts";
import type { HubFile } from "./hub_file.ts";
import type { HubRepository } from "./hub_repository.ts";
import { ATTEMPTS } from "./retry_delay.ts";

export interface DownloadOptions {
  repository: HubRepository;
  commit: string;
  /** Where the finished file goes; until then the bytes lie in `<target>.incomplete`. */
  target: string;
  signal: AbortSignal;
  /** Told of every change: bytes that came, or were there already; negative where they had to be dropped. */
  onBytes: (count: number) => void;
}

/**
 * Writes the whole of `file` to `target`, or leaves a part that the next call continues.
 * @throws {HubError} if the hub refuses, or the content is not what its listing says: then the part is removed.
 * @throws {Error} naming the path if it cannot be written (disk full, ...).
 */
export async function downloadBlob(file: HubFile, options: DownloadOptions): Promise<void> {
  const { repository, target, onBytes, signal } = options;
  if (existsSync(target)) return onBytes(file.size);
  const path = `${target}.incomplete`;
  using part = Deno.openSync(path, { read: true, write: true, create: true });
  // Another pull of the same file waits here, and finds it done.
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
      `Cannot use ${file.path} as its checksum is ${found}: the hub lists ${file.oid} (removed; pull again to fetch it anew)`,
    );
  }
  await part.sync();
  Deno.renameSync(path, target);
}

interface Progress {
  written: number;
  /** Over the bytes written so far. */
  hash: Hash;
}

function startHash({ lfs, size }: HubFile): Hash {
  return lfs ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

/** Takes the bytes of an earlier attempt into the hash; more of them than the file has cannot be its beginning. */
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

/** A server may ignore the range and send everything. */
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
    throw new Error(`Cannot write ${target}: ${reason} (what has come is kept; pull again to go on)`, {
      cause,
    });
  }
}
