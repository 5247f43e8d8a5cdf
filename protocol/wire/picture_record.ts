// A file's record of how it was made: everything that decides its pixels, and nothing of the run (times,
// worker), so that the same request gives the same file.
import { z } from "zod";
import { completeSettingsSchema } from "./run_request.ts";

export const pictureRecordSchema = z.object({
  generator: z.literal("Spectrum Edge"),
  model: z.string(),
  model_digest: z.string(),
  sampler_version: z.string(),
  settings: completeSettingsSchema,
  /** Quality of the file, where its format loses any. */
  output_compression: z.int().exactOptional(),
});
export type PictureRecord = z.output<typeof pictureRecordSchema>;
