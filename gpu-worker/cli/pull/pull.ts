// `deno task pull`: downloads a checkpoint from the Hugging
// Face hub into the cache, where `--model ORG/NAME` finds it.
import { bypassProxy } from "../../../protocol/process/bypass_proxy.ts";
import { UsageError } from "../../../protocol/process/usage_error.ts";
import {
  cleanToken,
  hubCacheFolder,
  hubToken,
  hubTokenPath,
  isHubOffline,
  needsNamedToken,
  parseHubName,
} from "../../checkpoint/hub_cache.ts";
import { showValue } from "../../../sampler/mod.ts";
import { ByteBar } from "./byte_bar.ts";
import { pullSnapshot } from "./pull_snapshot.ts";
import { type FlagKind, readFlags } from "../../../protocol/process/read_flags.ts";

const HELP = `Usage: deno task pull ORG/NAME [options]

  --revision R   branch, tag or commit (main); found by --model ORG/NAME@R
  --variant V    precision to prefer if there are several: fp16 (the plain files)
  --config-only  configs and tokenizers without weights: what a model in a single file lacks (a few MB)
  --only A,B     configs, tokenizers, and the weights of these components: vae,text_encoder
  --token T      access token for private and gated models (HF_TOKEN, which process lists do not show, or
                 the token that the hub's own tools have stored)

Downloads only the files that a pipeline needs: configs, tokenizers and safetensors.
The next pull continues an interrupted one.
The cache is HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub; HF_ENDPOINT names a mirror of the hub. In
both, and in HF_TOKEN_PATH, ~ and $NAME are expanded as in huggingface_hub. HF_HUB_OFFLINE forbids all calls.
`;

export const PULL_FLAGS = {
  "model": "operand",
  "revision": "text",
  "variant": "text",
  "config-only": "switch",
  "only": "text",
  "token": "text",
  "help": "switch",
} as const satisfies Record<string, FlagKind>;

export async function pull(args: string[], signal: AbortSignal): Promise<void> {
  const flags = readFlags(args, PULL_FLAGS);
  if (flags.help) return console.log(HELP);
  if (flags.model === undefined) throw new UsageError("the model is missing: deno task pull ORG/NAME");
  const name = parseHubName(flags.revision === undefined ? flags.model : `${flags.model}@${flags.revision}`);
  if (name === undefined) {
    throw new UsageError(`the model must read ORG/NAME: current value is '${showValue(flags.model)}'`);
  }
  if (flags["config-only"] && flags.only !== undefined) {
    throw new UsageError("--config-only and --only exclude each other");
  }
  if (isHubOffline()) {
    throw new UsageError(
      "HF_HUB_OFFLINE forbids calls of the hub: unset it, and TRANSFORMERS_OFFLINE, to pull",
    );
  }
  const only = flags["config-only"] ? [] : flags.only?.split(",").map((part) => part.trim());
  bypassProxy();
  using bar = new ByteBar(name.repository);
  const { folder, files, bytes } = await pullSnapshot(name.repository, {
    endpoint: Deno.env.get("HF_ENDPOINT") || undefined,
    token: flags.token ?? (needsNamedToken() ? undefined : hubToken() ?? storedToken()),
    revision: name.revision,
    variant: flags.variant,
    only,
    cache: hubCacheFolder(),
    signal,
    onStart: (total) => bar.start(total),
    onBytes: (count) => bar.add(count),
  });
  bar[Symbol.dispose]();
  console.log(folder);
  const model = name.revision === undefined ? name.repository : `${name.repository}@${name.revision}`;
  const use = only === undefined
    ? `--model ${model}`
    : `--components ${model}, or for single files of this model`;
  console.log(`${files} files, ${(bytes / 2 ** 20).toFixed(1)} MiB; use it as ${use}`);
}

/** Returns the token that `hf auth login` has stored. */
function storedToken(): string | undefined {
  try {
    return cleanToken(Deno.readTextFileSync(hubTokenPath()));
  } catch {
    return undefined;
  }
}
