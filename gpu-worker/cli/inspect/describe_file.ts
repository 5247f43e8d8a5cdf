// Describes a single file by its tensors alone: what it is, and which networks it has and lacks.
import { type RecognisedFile, recogniseFile } from "../../checkpoint/single_file/recognise_file.ts";
import { PART_COMPONENTS, type PartPaths } from "../../checkpoint/part_files.ts";
import { ARCHITECTURES } from "../../model/architectures.ts";

export interface FileDescription {
  /** Common name of the model: "FLUX.1 [dev]". */
  title: string;
  pipelineClass: string;
  /** The components in the file. */
  has: string[];
  /** The components that a run needs from elsewhere. Tokenizers and configs are never in a single file. */
  lacks: string[];
  /** The repository that published them. */
  repository: string;
}

/**
 * Describes a single file by its tensors.
 * @param parts networks that come from files of their own
 * @throws {CheckpointError} saying what the file is, if it is not a model we can run.
 */
export function describeFile(path: string, parts: PartPaths = {}): FileDescription {
  const given = PART_COMPONENTS.filter((component) => parts[component] !== undefined);
  return describe(recogniseFile(path, ARCHITECTURES, { given }));
}

function describe({ architecture, variant, networks }: RecognisedFile): FileDescription {
  const needed = architecture.parts.filter(({ optional }) => optional !== true);
  return {
    title: variant.title,
    pipelineClass: variant.pipelineClass ?? architecture.pipelineClass,
    has: [...networks.keys()],
    lacks: [
      ...needed.flatMap(({ component }) => networks.has(component) ? [] : [component]),
      ...Object.keys(architecture.tokenizers),
    ],
    repository: variant.repositories[0],
  };
}
