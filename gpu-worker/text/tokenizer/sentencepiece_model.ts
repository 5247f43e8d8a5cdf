// Reads what encoding needs of a SentencePiece model: fields of ModelProto in google/sentencepiece's
// sentencepiece_model.proto.
import protobuf from "protobufjs";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

/** What a piece is for. 1 is ordinary, 2 unknown, 5 unused, 6 a byte. */
export const CONTROL_PIECE = 3;
export const USER_DEFINED_PIECE = 4;
const UNIGRAM = 1;

export interface SentencePieceModel {
  /** In the order of their ids. */
  pieces: { piece: string; score: number; type: number }[];
  unkId: number;
  /** Compiled normalisation rules; empty if there are none. */
  precompiledCharsmap: Uint8Array;
}

const SCHEMA = protobuf.Root.fromJSON({
  nested: {
    Piece: {
      fields: {
        piece: { type: "string", id: 1 },
        score: { type: "float", id: 2 },
        type: { type: "int32", id: 3, options: { default: 1 } },
      },
    },
    TrainerSpec: {
      fields: {
        modelType: { type: "int32", id: 3, options: { default: UNIGRAM } },
        unkId: { type: "int32", id: 40 },
      },
    },
    NormalizerSpec: { fields: { precompiledCharsmap: { type: "bytes", id: 2 } } },
    Model: {
      fields: {
        pieces: { rule: "repeated", type: "Piece", id: 1 },
        trainerSpec: { type: "TrainerSpec", id: 2 },
        normalizerSpec: { type: "NormalizerSpec", id: 3 },
      },
    },
  },
});

/** @throws {CheckpointError} if `bytes` are not a unigram model. */
export function parseSentencePieceModel(bytes: Uint8Array, path: string): SentencePieceModel {
  let model: Partial<Decoded>;
  try {
    model = SCHEMA.lookupType("Model").decode(bytes) as Partial<Decoded>;
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${path} as it is not a SentencePiece model`, { cause });
  }
  const { pieces = [], trainerSpec, normalizerSpec } = model;
  const modelType = trainerSpec?.modelType ?? UNIGRAM;
  if (modelType !== UNIGRAM || pieces.length === 0) {
    throw new CheckpointError(
      `Cannot use ${path} as its model type must be ${UNIGRAM} (unigram), with pieces: current values are ${modelType} and ${pieces.length} pieces`,
    );
  }
  return {
    pieces,
    unkId: trainerSpec?.unkId ?? 0,
    precompiledCharsmap: normalizerSpec?.precompiledCharsmap ?? new Uint8Array(),
  };
}

interface Decoded {
  pieces: SentencePieceModel["pieces"];
  trainerSpec: { modelType: number; unkId: number } | null;
  normalizerSpec: { precompiledCharsmap: Uint8Array } | null;
}
