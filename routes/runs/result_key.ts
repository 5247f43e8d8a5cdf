// The name under which a picture is stored: everything that decides its bytes, and nothing else. The
// worker's part, settings such as its compute type among it, is the digest:
// gpu-worker/model/picture_digest.ts lists it.
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { CompleteSettings } from "../../protocol/wire/run_request.ts";

export interface ResultKeyParts {
  model: Pick<ModelCard, "id" | "digest" | "sampler_version">;
  settings: CompleteSettings;
  output_format: string;
  output_compression: number;
  /** Whether the file says how it was made. */
  metadata: boolean;
}

/**
 * Returns the SHA-256 (hex) of the parts as RFC 8785 JSON: the same whatever the order of fields and the
 * spelling of numbers.
 */
export function resultKey({ model, settings, ...output }: ResultKeyParts): string {
  const { id, digest, sampler_version } = model;
  const seed = String(settings.seed);
  // PNG is lossless whatever the compression says.
  const output_compression = output.output_format === "png" ? 100 : output.output_compression;
  // A file that says how it was made says it with the model's name.
  const named = output.metadata ? { model: id } : {};
  const text = canonicalize({
    digest,
    sampler_version,
    ...named,
    ...settings,
    ...output,
    seed,
    output_compression,
  })!;
  // Not WebCrypto's: for a few hundred bytes its way to another thread and back costs more than the hash.
  return createHash("sha256").update(text).digest("hex");
}
