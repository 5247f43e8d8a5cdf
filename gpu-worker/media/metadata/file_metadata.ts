/** A file's record of how it was made, for two kinds of readers. */
export interface FileMetadata {
  /** For people and for other programs: AUTOMATIC1111's "parameters". */
  parameters: string;
  /** For this program: protocol/wire/picture_record.ts, as JSON. */
  json: string;
}

/** Names our JSON among other programs' texts. */
export const JSON_KEYWORD = "spectrum";
