// The cache of checkpoints from the Hugging Face hub, in the layout of the Python library huggingface_hub.
import { homedir } from "node:os";
import { join } from "node:path";

/** Reads an environment variable that huggingface_hub also reads. */
export type ReadVariable = (name: string) => string | undefined;

const environment: ReadVariable = (name) => Deno.env.get(name);

/**
 * Returns $HF_HUB_CACHE, its older name $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub.
 */
export function hubCacheFolder(read: ReadVariable = environment): string {
  const named = read("HF_HUB_CACHE") || read("HUGGINGFACE_HUB_CACHE");
  return named ? expand(named, read) : join(hubHome(read), "hub");
}

/** Returns $HF_HOME, $XDG_CACHE_HOME/huggingface or ~/.cache/huggingface. */
export function hubHome(read: ReadVariable = environment): string {
  const named = read("HF_HOME");
  return expand(named || join(read("XDG_CACHE_HOME") || join("~", ".cache"), "huggingface"), read);
}

/**
 * Returns the file in which `hf auth login` stores a token: $HF_TOKEN_PATH, or `token` in the hub's home.
 */
export function hubTokenPath(read: ReadVariable = environment): string {
  const named = read("HF_TOKEN_PATH");
  return named ? expand(named, read) : join(hubHome(read), "token");
}

/**
 * Returns $HF_TOKEN or its older name $HUGGING_FACE_HUB_TOKEN, without surrounding line breaks, which
 * settings files may add.
 */
export function hubToken(read: ReadVariable = environment): string | undefined {
  return cleanToken(read("HF_TOKEN") || read("HUGGING_FACE_HUB_TOKEN"));
}

/** Returns whether $HF_HUB_OFFLINE or $TRANSFORMERS_OFFLINE forbids calls of the hub. */
export function isHubOffline(read: ReadVariable = environment): boolean {
  return isTrue(read("HF_HUB_OFFLINE") || read("TRANSFORMERS_OFFLINE"));
}

/** Returns whether $HF_HUB_DISABLE_IMPLICIT_TOKEN forbids sending a token that the command does not name. */
export function needsNamedToken(read: ReadVariable = environment): boolean {
  return isTrue(read("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
}

function isTrue(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}

/** Returns a token without the line breaks and spaces around it, or undefined if nothing is left. */
export function cleanToken(token: string | undefined): string | undefined {
  return token?.replaceAll(/[\r\n]/g, "").trim() || undefined;
}

/**
 * Expands a path like Python's expanduser and expandvars: a leading `~` is the home folder, $NAME
 * and ${NAME} are variables. Settings of Docker and systemd pass them unexpanded, as no shell reads
 * them. An unknown variable stays.
 */
function expand(path: string, read: ReadVariable): string {
  const home = read("HOME") || homedir();
  const absolute = path === "~" || /^~[/\\]/.test(path) ? home + path.slice(1) : path;
  return absolute.replaceAll(
    /\$(?:(\w+)|\{([^}]*)\})/g,
    (whole, plain, braced) => read(plain ?? braced) ?? whole,
  );
}

/** Returns the folder of ORG/NAME inside the cache. It holds blobs/, refs/ and snapshots/. */
export function repositoryFolder(repository: string): string {
  return `models--${repository.replace("/", "--")}`;
}

export interface HubName {
  /** ORG/NAME */
  repository: string;
  /** Branch, tag or commit. */
  revision?: string;
}

/**
 * Parses ORG/NAME or ORG/NAME@REVISION. Returns undefined for anything else, such as a
 * path that leads out of the cache.
 */
export function parseHubName(model: string): HubName | undefined {
  const [, repository, revision] = /^([\w.-]+\/[\w.-]+)(?:@([\w.-]+(?:\/[\w.-]+)*))?$/.exec(model) ?? [];
  const climbs = model.split(/[/@]/).some((part) => part === "." || part === "..");
  if (repository === undefined || climbs) return undefined;
  return { repository, ...revision !== undefined && { revision } };
}
