// Parts that complete or replace those of a checkpoint: other files, and a repository
// with configs and tokenizers.

export const PART_COMPONENTS = [
  "vae",
  "text_encoder",
  "text_encoder_2",
  "text_encoder_3",
  "transformer_2",
] as const;
export type PartComponent = (typeof PART_COMPONENTS)[number];

/** The files that take the place of a component's weights, by component. */
export type PartPaths = Readonly<Partial<Record<PartComponent, string>>>;

export interface PartFiles extends PartPaths {
  /**
   * Folder in diffusers' layout, or ORG/NAME in the Hugging Face cache. It has the configs, tokenizers and
   * networks that a single file lacks.
   * @default the repository in which the file's model was published
   */
  components?: string | undefined;
}
