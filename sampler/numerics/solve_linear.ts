// Solves small systems of linear equations.

/**
 * Solves `matrix` x = `values` by Gaussian elimination with row pivoting. `matrix` is an array of
 * rows and is not changed.
 */
export function solveLinear(matrix: readonly (readonly number[])[], values: readonly number[]): number[] {
  const size = values.length;
  const rows = matrix.map((row, i) => [...row, values[i]!]);
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let i = column + 1; i < size; i++) {
      if (Math.abs(rows[i]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = i;
    }
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let i = column + 1; i < size; i++) subtract(rows[i]!, rows[column]!, column);
  }
  const solution = new Array<number>(size).fill(0);
  for (let i = size - 1; i >= 0; i--) {
    const row = rows[i]!;
    const known = solution.reduce((sum, x, j) => j > i ? sum + row[j]! * x : sum, 0);
    solution[i] = (row[size]! - known) / row[i]!;
  }
  return solution;
}

/** Subtracts a multiple of `pivotRow` from `row`, so that the entry in `column` becomes 0. */
function subtract(row: number[], pivotRow: readonly number[], column: number): void {
  const factor = row[column]! / pivotRow[column]!;
  for (let j = column; j < row.length; j++) row[j]! -= factor * pivotRow[j]!;
}
