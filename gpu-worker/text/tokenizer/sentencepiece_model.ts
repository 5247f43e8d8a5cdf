// Reads the parts of a SentencePiece model that encoding needs.
import { fromBinary } from "@bufbuild/protobuf";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import {
  type ModelProto,
  type ModelProto_SentencePiece,
  ModelProtoSchema,
  TrainerSpec_ModelType as ModelType,
} from "../../runtime/messages/sentencepiece_model_pb.ts";

export interface SentencePieceModel {
  /** Pieces in order of their ids. */
  pieces: readonly Pick<ModelProto_SentencePiece, "piece" | "score" | "type">[];
  /** Compiled normalisation rules; empty if there are none. */
  precompiledCharsmap: Uint8Array;
}

export interface SentencePieceOptions {
  /** Path of the file, for messages. */
  path: string;
  modelType: "unigram" | "bpe";
}

/**
 * Parses a SentencePiece model.
 * @throws {CheckpointError} if `bytes` are not a model of `modelType`.
 */
export function parseSentencePieceModel(
  bytes: Uint8Array,
  { path, modelType }: SentencePieceOptions,
): SentencePieceModel {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${path} as it is not a SentencePiece model`, { cause });
  }
  const { pieces, trainerSpec, normalizerSpec } = model;
  const expected = modelType === "unigram" ? ModelType.UNIGRAM : ModelType.BPE;
  const found = trainerSpec?.modelType ?? ModelType.UNIGRAM;
  if (found !== expected || pieces.length === 0) {
    throw new CheckpointError(
      `Cannot use ${path} as its model type must be ${expected} (${modelType}), with pieces: ` +
        `current values are ${found} and ${pieces.length} pieces`,
    );
  }
  return { pieces, precompiledCharsmap: normalizerSpec?.precompiledCharsmap ?? new Uint8Array() };
}
