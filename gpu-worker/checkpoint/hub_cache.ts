// Where checkpoints from the Hugging Face hub lie, as the Python library huggingface_hub lays them out.
import { homedir } from "node:os";
import { join } from "node:path";

/** What huggingface_hub reads of the process's environment. */
export type ReadVariable = (name: string) => string | undefined;

const environment: ReadVariable = (name) => Deno.env.get(name);

/** $HF_HUB_CACHE, its older name $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub. */
export function hubCacheFolder(read: ReadVariable = environment): string {
  const named = read("HF_HUB_CACHE") || read("HUGGINGFACE_HUB_CACHE");
  return named ? expand(named, read) : join(hubHome(read), "hub");
}

/** $HF_HOME, $XDG_CACHE_HOME/huggingface or ~/.cache/huggingface. */
export function hubHome(read: ReadVariable = environment): string {
  const named = read("HF_HOME");
  return expand(named || join(read("XDG_CACHE_HOME") || join("~", ".cache"), "huggingface"), read);
}

/** The file in which `hf auth login` leaves a token: $HF_TOKEN_PATH, or `token` in the hub's home. */
export function hubTokenPath(read: ReadVariable = environment): string {
  const named = read("HF_TOKEN_PATH");
  return named ? expand(named, read) : join(hubHome(read), "token");
}

/** $HF_TOKEN or its older name $HUGGING_FACE_HUB_TOKEN; lines around it, as files of settings have them, are cut off. */
export function hubToken(read: ReadVariable = environment): string | undefined {
  return cleanToken(read("HF_TOKEN") || read("HUGGING_FACE_HUB_TOKEN"));
}

/** A token without the line breaks and spaces around it; undefined if nothing is left. */
export function cleanToken(token: string | undefined): string | undefined {
  return token?.replaceAll(/[\r\n]/g, "").trim() || undefined;
}

/**
 * Python's expanduser and expandvars: a leading `~` is the home folder, $NAME and ${NAME} are variables. Files that no
 * shell reads, such as Docker's and systemd's, hand them over as they are. An unknown variable stays as it stands.
 */
function expand(path: string, read: ReadVariable): string {
  const home = read("HOME") || homedir();
  const absolute = path === "~" || /^~[/\\]/.test(path) ? home + path.slice(1) : path;
  return absolute.replaceAll(
    /\$(?:(\w+)|\{([^}]*)\})/g,
    (whole, plain, braced) => read(plain ?? braced) ?? whole,
  );
}

/** Folder of ORG/NAME inside the cache; it holds blobs/, refs/ and snapshots/. */
export function repositoryFolder(repository: string): string {
  return `models--${repository.replace("/", "--")}`;
}

export interface HubName {
  /** ORG/NAME */
  repository: string;
  /** Branch, tag or commit. */
  revision?: string;
}

/** Reads ORG/NAME or ORG/NAME@REVISION; undefined for anything else, such as a path that leads out of the cache. */
export function parseHubName(model: string): HubName | undefined {
  const [, repository, revision] = /^([\w.-]+\/[\w.-]+)(?:@([\w.-]+(?:\/[\w.-]+)*))?$/.exec(model) ?? [];
  const climbs = model.split(/[/@]/).some((part) => part === "." || part === "..");
  if (repository === undefined || climbs) return undefined;
  return { repository, ...revision !== undefined && { revision } };
}
