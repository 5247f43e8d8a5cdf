// Element types of tensors, named as PyTorch names them, with their size and their ONNX
// TensorProto.DataType code.

/** Element type of a tensor. */
export type DType =
  | "float32"
  | "float16"
  | "bfloat16"
  | "float8_e4m3fn"
  | "float8_e5m2"
  | "float64"
  | "int64"
  | "int32"
  | "uint8"
  | "int8"
  | "bool";

/** Bytes of one element. */
export const DTYPE_BYTES: Record<DType, number> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
  float64: 8,
  int64: 8,
  int32: 4,
  uint8: 1,
  int8: 1,
  bool: 1,
};

/** Codes of onnx.TensorProto.DataType, which ONNXTensorElementDataType shares. */
export const ONNX_DATA_TYPE: Record<DType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
  float8_e4m3fn: 17,
  float8_e5m2: 19,
};
