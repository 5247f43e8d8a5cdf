// Settles what a request leaves to its model's name: which model an alias stands for, which size it gets, how
// it is answered. What is not as asked for is said in words, for the receipt.
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { EditRequest } from "../requests/edit_request.ts";
import type { ImageRequest } from "../requests/image_request.ts";
import type { VideoRequest } from "../requests/video_request.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";
import type { ModelAlias } from "../runs/model_aliases.ts";
import { nearestSize, type Size } from "./nearest_size.ts";

export interface Settled<Request> {
  /** Names a model, not an alias. */
  request: Request;
  /** Sentences. */
  warnings: string[];
}

const OPAQUE = "This server makes no transparent pictures, so the picture is opaque.";

/**
 * Replaces an alias by its model, and the size by the nearest one that the model has.
 * @throws {ApiError} 404 for an alias whose model is not served, 503
 */
export async function settleImage<Request extends ImageRequest | EditRequest>(
  request: Request,
  catalog: ModelCatalog,
): Promise<Settled<Request>> {
  const warnings = request.background === "transparent" ? [OPAQUE] : [];
  const alias = catalog.aliasOf(request.model);
  if (alias === undefined) return { request, warnings };
  const card = await catalog.find(alias.name);
  const image = "image" in request ? request.image.size : undefined;
  const size = fitted({ size: request.size, image }, { alias, card, warnings });
  const response_format = request.response_format ?? (request.stream ? "b64_json" : alias.response_format);
  return { request: { ...request, model: card.id, size, response_format }, warnings };
}

/**
 * Settles a video's request, as settleImage() does. A length that the model does not reach becomes its
 * longest.
 */
export async function settleVideo(
  request: VideoRequest,
  catalog: ModelCatalog,
): Promise<Settled<VideoRequest>> {
  const warnings: string[] = [];
  const alias = catalog.aliasOf(request.model);
  if (alias === undefined) return { request, warnings };
  const card = await catalog.find(alias.name);
  const size = fitted({ size: request.size, image: request.image?.size }, { alias, card, warnings });
  const { max_frames = 1 } = card.video ?? {};
  const longest = (max_frames - 1) / (request.fps ?? card.defaults.fps ?? 1);
  const { seconds } = request;
  const isLong = alias.size === "nearest" && seconds !== undefined && seconds > longest;
  if (isLong) warnings.push(`${seconds} seconds were asked for; ${card.id} makes ${longest} at most.`);
  return { request: { ...request, model: card.id, size, ...isLong && { seconds: longest } }, warnings };
}

interface Fitting {
  alias: ModelAlias;
  card: ModelCard;
  warnings: string[];
}

function fitted(
  { size, image }: { size: string | undefined; image: Size | undefined },
  { alias, card, warnings }: Fitting,
): string | undefined {
  const asked = size === undefined || size === "auto" ? image : parseSize(size);
  if (alias.size === "exact" || asked === undefined || asked.width === 0 || asked.height === 0) return size;
  const { width, height } = nearestSize(asked, card);
  if (width !== asked.width || height !== asked.height) {
    const from = `${asked.width}x${asked.height}`;
    warnings.push(`${alias.name} is ${card.id} here, so the size is ${width}x${height} instead of ${from}.`);
  }
  return `${width}x${height}`;
}

function parseSize(size: string): Size {
  const [width, height] = size.split("x").map(Number) as [number, number];
  return { width, height };
}
