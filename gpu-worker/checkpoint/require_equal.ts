import { CheckpointError } from "./checkpoint_error.ts";

/** @throws {CheckpointError} naming `option` of the transformer's config, unless it has the value. */
export function requireEqual(
  option: string,
  found: number,
  { of, value }: { of: string; value: number },
): void {
  if (found === value) return;
  throw new CheckpointError(
    `Cannot use transformer/config.json: '${option}' must be ${of} (${value}), but is ${found}.`,
  );
}
