// Reads a hub's listing of a commit and its files. Its names
// become file names on this disk, so their form is checked first.
import { HubError } from "./hub_error.ts";
import { showValue } from "../../../sampler/mod.ts";

export interface HubFile {
  /** Path inside the repository, with slashes. */
  path: string;
  /** Bytes. */
  size: number;
  /** Hex: SHA-256 of the content if `lfs`, else git's SHA-1 of the blob. Names the file in the cache. */
  oid: string;
  lfs: boolean;
}

/** Smallest size of a Git LFS pointer, which holds an address, 64 digits and a size. */
const LEAST_POINTER_BYTES = 100;
const SHA1 = /^[0-9a-f]{40}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Checks a commit's id.
 * @throws {HubError} if `sha` is not the name of a git commit.
 */
export function readCommit(sha: unknown, repository: string): string {
  if (typeof sha === "string" && SHA1.test(sha)) return sha;
  throw refusal(repository, `the commit must be 40 hexadecimal digits, but is '${showValue(sha)}'`);
}

/**
 * Reads one entry of a listing.
 * @returns undefined for folders
 * @throws {HubError} naming the field that is malformed.
 */
export function readHubFile(entry: unknown, repository: string): HubFile | undefined {
  const { type, path, size, oid, lfs } = (entry ?? {}) as Record<string, unknown>;
  if (type !== "file") return undefined;
  if (typeof path !== "string" || !isPlainPath(path)) {
    throw refusal(
      repository,
      `a file's path must be relative and stay inside the repository, but is '${showValue(path)}'`,
    );
  }
  if (!Number.isInteger(size) || (size as number) < 0 || (size as number) > 2 ** 63) {
    throw refusal(repository, `the size of ${showValue(path)} must be a count, but is ${showValue(size)}`);
  }
  const isLfs = lfs !== undefined && lfs !== null;
  const { oid: lfsOid, pointerSize = LEAST_POINTER_BYTES } = (lfs ?? {}) as Record<string, unknown>;
  if (!((pointerSize as number) >= LEAST_POINTER_BYTES)) {
    throw refusal(
      repository,
      `the pointer of ${showValue(path)} must have ${LEAST_POINTER_BYTES} bytes or more, but has ${
        showValue(pointerSize)
      }`,
    );
  }
  const id = isLfs ? lfsOid : oid;
  if (typeof id !== "string" || !(isLfs ? SHA256 : SHA1).test(id)) {
    const digits = isLfs ? 64 : 40;
    throw refusal(
      repository,
      `the oid of ${showValue(path)} must be ${digits} hexadecimal digits, but is '${showValue(id)}'`,
    );
  }
  return { path, size: size as number, oid: id, lfs: isLfs };
}

/** Returns whether `path` stays inside its folder, on any system. */
function isPlainPath(path: string): boolean {
  // deno-lint-ignore no-control-regex
  if (path.length > 1024 || /[\\:\x00-\x1f]/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function refusal(repository: string, reason: string): HubError {
  return new HubError(`Cannot pull ${repository} from this hub: ${reason}.`);
}
