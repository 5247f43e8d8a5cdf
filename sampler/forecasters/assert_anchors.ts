// The precondition that all forecasters share.

/** @throws {RangeError} If there is no anchor, or they do not ascend. */
export function assertAnchors(anchors: readonly number[]): void {
  if (anchors.length === 0) throw new RangeError("Cannot forecast as 'anchors' must not be empty");
  for (let i = 1; i < anchors.length; i++) {
    if (!(anchors[i]! > anchors[i - 1]!)) {
      throw new RangeError(
        `Cannot forecast as 'anchors' must ascend: current value is ${anchors.join(", ")}`,
      );
    }
  }
}
