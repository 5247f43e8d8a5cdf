// The record that a file holds about its picture: see protocol/wire/picture_record.ts.
import { infotext } from "../../protocol/wire/infotext.ts";
import type { PictureRecord } from "../../protocol/wire/picture_record.ts";
import { SAMPLER_VERSION } from "../../sampler/mod.ts";
import type { FileMetadata } from "../media/metadata/file_metadata.ts";
import type { ModelInfo } from "../pipeline/pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import type { ImageSize } from "../media/decoded_image.ts";
import { toWire } from "../request/wire_settings.ts";

export interface FileMetadataOptions {
  model: Pick<ModelInfo, "id" | "digest">;
  /** SHA-256, in hex, of the image file that the run started from. */
  imageSha256?: string | undefined;
  /** The same of the mask's file. */
  maskSha256?: string | undefined;
  /** The same of the control image's file. */
  controlImageSha256?: string | undefined;
  /** The same of the image file of a video's last frame. */
  lastFrameSha256?: string | undefined;
  /** Quality of the file. @default its format loses nothing, or the best */
  compression?: number | undefined;
}

/** Returns the same for equal requests of equal models: nothing of it is about the run. */
export function fileMetadataOf(
  request: GenerateRequest<ImageSize>,
  { model: { id, digest }, imageSha256, maskSha256, controlImageSha256, lastFrameSha256, compression }:
    FileMetadataOptions,
): FileMetadata {
  const { references } = request;
  const settings = {
    ...toWire(request),
    ...maskSha256 !== undefined && { mask_sha256: maskSha256 },
    ...imageSha256 !== undefined && { image_sha256: imageSha256 },
    ...controlImageSha256 !== undefined && { control_image_sha256: controlImageSha256 },
    ...lastFrameSha256 !== undefined && { last_frame_sha256: lastFrameSha256 },
    ...references && { references_sha256: references.flatMap(({ file }) => file?.sha256 ?? []) },
  };
  const record: PictureRecord = {
    generator: "Spectrum Edge",
    model: id,
    model_digest: digest,
    sampler_version: SAMPLER_VERSION,
    settings,
    ...compression !== undefined && compression < 100 && { output_compression: compression },
  };
  return {
    parameters: infotext({ model: id, modelDigest: digest, settings }),
    json: JSON.stringify(record),
  };
}
