// Where checkpoints from the Hugging Face hub lie, as the Python library huggingface_hub lays them out.
import { homedir } from "node:os";
import { join } from "node:path";

/** $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub. */
export function hubCacheFolder(): string {
  return Deno.env.get("HF_HUB_CACHE") ?? join(hubHome(), "hub");
}

/** $HF_HOME, $XDG_CACHE_HOME/huggingface or ~/.cache/huggingface. */
export function hubHome(): string {
  const caches = Deno.env.get("XDG_CACHE_HOME") ?? join(homedir(), ".cache");
  return Deno.env.get("HF_HOME") ?? join(caches, "huggingface");
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
