// Features of the pictures of runs under way. A prompt and its negative prompt are about the same pictures,
// so the vision tower runs once for both.
import type { ReferenceImage } from "../../request/references.ts";
import type { GraphSession } from "../../session/session_loader.ts";
import type { ImageFeatures } from "./encode_images.ts";

const SEEN = new WeakMap<GraphSession, WeakMap<readonly ReferenceImage[], ImageFeatures>>();

/** Returns the features of a run's references. @param look runs the vision tower */
export async function seenImages(
  session: GraphSession,
  references: readonly ReferenceImage[],
  look: () => Promise<ImageFeatures>,
): Promise<ImageFeatures> {
  const seen = SEEN.get(session) ?? new WeakMap<readonly ReferenceImage[], ImageFeatures>();
  SEEN.set(session, seen);
  const features = seen.get(references) ?? await look();
  seen.set(references, features);
  return features;
}
