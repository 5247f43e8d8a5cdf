// Reads what encoding needs of a SentencePiece model.
import { fromBinary } from "@bufbuild/protobuf";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import {
  type ModelProto,
  type ModelProto_SentencePiece,
  ModelProtoSchema,
  TrainerSpec_ModelType as ModelType,
} from "../../runtime/messages/sentencepiece_model_pb.ts";

export interface SentencePieceModel {
  /** In the order of their ids. */
  pieces: readonly Pick<ModelProto_SentencePiece, "piece" | "score" | "type">[];
  unkId: number;
  /** Compiled normalisation rules; empty if there are none. */
  precompiledCharsmap: Uint8Array;
}

/** @throws {CheckpointError} if `bytes` are not a unigram model. */
export function parseSentencePieceModel(bytes: Uint8Array, path: string): SentencePieceModel {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${path} as it is not a SentencePiece model`, { cause });
  }
  const { pieces, trainerSpec, normalizerSpec } = model;
  const modelType = trainerSpec?.modelType ?? ModelType.UNIGRAM;
  if (modelType !== ModelType.UNIGRAM || pieces.length === 0) {
    throw new CheckpointError(
      `Cannot use ${path} as its model type must be ${ModelType.UNIGRAM} (unigram), with pieces: current values are ${modelType} and ${pieces.length} pieces`,
    );
  }
  return {
    pieces,
    unkId: trainerSpec?.unkId ?? 0,
    precompiledCharsmap: normalizerSpec?.precompiledCharsmap ?? new Uint8Array(),
  };
}
