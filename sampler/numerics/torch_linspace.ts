// Evenly spaced numbers with torch's rounding.

/**
 * Returns `torch.linspace(start, stop, count)` on the CPU: float32 values [count], counted from the nearer
 * end with fused multiply-adds. The bounds are rounded to float32 first.
 */
export function torchLinspace(start: number, stop: number, count: number): Float64Array {
  const first = f32(start);
  const last = f32(stop);
  if (count === 1) return Float64Array.of(first);
  const spacing = f32(f32(last - first) / (count - 1));
  const half = Math.floor(count / 2);
  // A product of a float32 and a small integer is exact in float64, so that each sum rounds
  // like a fused multiply-add.
  return Float64Array.from(
    { length: count },
    (_, i) => i < half ? f32(first + spacing * i) : f32(last - spacing * (count - 1 - i)),
  );
}

const f32 = Math.fround;
