// Checks the anchors that all forecasters take.

/**
 * Checks the steps of full passes that a forecast is made from.
 * @throws {RangeError} If there is no anchor, or the anchors do not ascend.
 */
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
