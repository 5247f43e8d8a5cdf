// Which model a request of AUTOMATIC1111's API means: by a title of sd-models, and by <lora:NAME:WEIGHT> in
// its prompt. A LoRA belongs to a served model (docs/decisions/0010-loras-belong-to-a-model.md), so a tag
// chooses the model that has it.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import { formatLora, type Lora, parseModelName } from "../../protocol/wire/model_name.ts";

/** Digits of a digest in a title. */
const HASH_DIGITS = 10;
/** "lyco" is the web UI's other name for the same. Without "<" inside, so that no place is read twice. */
const TAG = /<(?:lora|lyco):([^:<>]+)(?::([^:<>]*))?(?::[^<>]*)?>/g;
/** Networks of other kinds, which the web UI takes out of the prompt too. */
const OTHER_TAG = /<\w+:[^<>]+>/g;

export interface Chosen {
  card: ModelCard;
  /** Without tags. */
  prompt: string;
  /** Tags of networks that there are none of here. @default none */
  others?: readonly string[];
}

export function titleOf({ id, digest }: ModelCard): string {
  return `${id} [${hashOf({ digest })}]`;
}

export function hashOf({ digest }: Pick<ModelCard, "digest">): string {
  return digest.slice(0, HASH_DIGITS);
}

/** Models that make pictures. */
export function pictureModels(cards: readonly ModelCard[]): ModelCard[] {
  return cards.filter(({ video }) => video === undefined);
}

/** Finds a model by title, name, hash or the last part of the name. */
export function findByTitle(title: string, cards: readonly ModelCard[]): ModelCard | undefined {
  const matches = [
    (card: ModelCard) => card.id === title || titleOf(card) === title,
    (card: ModelCard) => hashOf(card) === title,
    ({ id }: ModelCard) => id.split("/").at(-1) === title || id.replaceAll("/", "_") === title,
  ];
  return matches.map((isIt) => cards.find(isIt)).find((card) => card !== undefined);
}

/**
 * Returns the model and the rest of the prompt.
 * @throws {ApiError} 400 for a LoRA that is not served with `card`
 */
export function chooseModel(
  prompt: string,
  { card, cards }: { card: ModelCard; cards: readonly ModelCard[] },
): Chosen {
  const tags = [...prompt.matchAll(TAG)].map(([, name = "", weight]) => ({
    name,
    weight: Number(weight || "1"),
  }));
  const withoutLoras = prompt.replace(TAG, "");
  const others = withoutLoras.match(OTHER_TAG);
  const rest = withoutLoras.replace(OTHER_TAG, "").replace(/ {2,}/g, " ").trim();
  if (tags.length === 0) return { card, prompt: rest, ...others && { others } };
  const { name: base } = parseModelName(card.id);
  const served = pictureModels(cards).filter(({ id }) => parseModelName(id).name === base);
  const found = served.find(({ id }) => isSame(parseModelName(id).loras, tags));
  if (found !== undefined) return { card: found, prompt: rest, ...others && { others } };
  const known = served.map(({ id }) => parseModelName(id).loras).filter(({ length }) => length > 0)
    .map((loras) => loras.map((lora) => `<lora:${tagName(lora)}:${lora.weight}>`).join(""));
  const asked = tags.map(({ name, weight }) => `<lora:${name}:${weight}>`).join("");
  throw new ApiError(
    400,
    `'prompt' asks for ${asked.slice(0, 200)}, which ${base} is not served with. There is ${
      known.join(", ") || "none"
    }`,
    { param: "prompt", code: "lora_not_found" },
  );
}

/** Returns the LoRAs of all models by the names that tags use. */
export function lorasOf(cards: readonly ModelCard[]): { name: string; path: string; weight: number }[] {
  const loras = pictureModels(cards).flatMap(({ id }) => parseModelName(id).loras);
  const names = new Map(loras.map((lora) => [formatLora(lora), lora]));
  return [...names.values()].map((lora) => ({ name: tagName(lora), path: lora.path, weight: lora.weight }));
}

function isSame(loras: readonly Lora[], tags: readonly { name: string; weight: number }[]): boolean {
  const list = (items: readonly { name: string; weight: number }[]) =>
    items.map(({ name, weight }) => `${name}:${weight}`).sort().join();
  return list(loras.map((lora) => ({ name: tagName(lora), weight: lora.weight }))) === list(tags);
}

/** The file's name, with @2 for the second of a model's denoisers as in the model's own name. */
function tagName({ path, second = false }: Lora): string {
  const stem = path.split(/[/\\]/).at(-1)!.replace(/\.safetensors$/, "");
  return second ? `${stem}@2` : stem;
}
