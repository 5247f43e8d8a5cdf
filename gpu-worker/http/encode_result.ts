// The files of a run: previews, and the picture or video with how it was made.
import { createHash } from "node:crypto";
import { outputFormat, videoFormat } from "../../protocol/wire/generation_fields.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { DecodedVideo } from "../media/decoded_video.ts";
import { encodeImage } from "../media/encode_image.ts";
import { encodeVideo } from "../media/encode_video.ts";
import type { FileMetadata } from "../media/metadata/file_metadata.ts";
import { encodeSpritesheet, encodeThumbnail } from "../media/video_stills.ts";
import { fileMetadataOf } from "../model/file_metadata_of.ts";
import type { Run } from "./run.ts";
import type { Generated } from "./run_receipt.ts";

/** Encodes the picture or the video, in base64. */
export async function encodeResult(
  run: Run,
  generated: Generated,
): Promise<Pick<CompletedEvent, "b64_json" | "stills">> {
  const { image, video } = generated.result;
  const metadata = metadataOf(run, generated);
  return video
    ? await encodeVideoOf(run, { video, metadata })
    : { b64_json: await encodePicture(run, { image, metadata }) };
}

/** Encodes a picture, in base64. Previews have no metadata. */
export async function encodePicture(
  run: Run,
  { image, metadata }: { image: DecodedImage; metadata?: FileMetadata | undefined },
): Promise<string> {
  const { output_format, output_compression: compression } = run.request;
  // A video's output format is no image format; its previews are WebP stills.
  const { data: format = "webp" } = outputFormat.safeParse(output_format);
  const bytes = await encodeImage(image, { format, compression, metadata });
  return bytes.toBase64();
}

async function encodeVideoOf(
  run: Run,
  { video, metadata }: { video: DecodedVideo; metadata: FileMetadata | undefined },
): Promise<Pick<CompletedEvent, "b64_json" | "stills">> {
  const { output_format, output_compression: compression } = run.request;
  const format = videoFormat.parse(output_format);
  const [file, thumbnail, spritesheet] = await Promise.all([
    encodeVideo(video, { format, compression, metadata, signal: run.signal }),
    encodeThumbnail(video),
    encodeSpritesheet(video),
  ]);
  return {
    b64_json: file.toBase64(),
    stills: { thumbnail: thumbnail.toBase64(), spritesheet: spritesheet.toBase64() },
  };
}

function metadataOf({ request: run }: Run, { request, model }: Generated): FileMetadata | undefined {
  if (!run.metadata) return undefined;
  const isLossy = run.output_format !== "png" && run.output_format !== "gif";
  return fileMetadataOf(request, {
    model,
    imageSha256: run.image && sha256(run.image),
    maskSha256: run.mask && sha256(run.mask),
    controlImageSha256: run.control_image && sha256(run.control_image),
    lastFrameSha256: run.last_frame && sha256(run.last_frame),
    compression: isLossy ? run.output_compression : undefined,
  });
}

function sha256(base64: string): string {
  return createHash("sha256").update(base64, "base64").digest("hex");
}
