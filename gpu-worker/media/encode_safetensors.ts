// Serializes float32 and uint8 tensors as safetensors, for `--dump` and for comparisons with diffusers.

export interface NamedTensor {
  name: string;
  dims: readonly number[];
  data: Float32Array | Uint8Array;
}

/**
 * Returns the bytes of a .safetensors file. The header is padded so that the data begins at a multiple of 8.
 */
export function encodeSafetensors(tensors: readonly NamedTensor[]): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = {};
  let length = 0;
  for (const { name, dims, data } of tensors) {
    header[name] = {
      dtype: data instanceof Float32Array ? "F32" : "U8",
      shape: dims,
      data_offsets: [length, length += data.byteLength],
    };
  }
  const json = JSON.stringify(header);
  const text = new TextEncoder().encode(
    json + " ".repeat((8 - new TextEncoder().encode(json).length % 8) % 8),
  );
  const file = new Uint8Array(8 + text.length + length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  let offset = 8 + text.length;
  for (const { data } of tensors) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return file;
}
