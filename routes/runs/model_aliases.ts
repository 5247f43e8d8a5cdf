// Names that apps have built in, such as dall-e-3, for models that this server has: SPECTRUM_MODEL_ALIASES.
import type { ModelCard } from "../../protocol/wire/model_card.ts";

export interface ModelAlias {
  /** The name in requests. With * at its end it stands for every name that begins with the rest. */
  name: string;
  /** A model's name, or "pictures" or "videos": the first model that makes them. */
  target: string;
  /**
   * "nearest": a size that the model does not draw well becomes one that it does.
   * "exact": the size stays as the client asked.
   */
  size: "nearest" | "exact";
  /** The default for requests that leave it open. */
  response_format: "b64_json" | "url";
}

/** OpenAI's older models answer with addresses unless told otherwise, and their clients count on it. */
const ANSWERS_WITH_URL = /^dall-e-/;
const RULE =
  "comma-separated NAME=MODEL, each with ;size=nearest or exact and ;response_format=b64_json or url if " +
  "wanted";

/** Parses the aliases of SPECTRUM_MODEL_ALIASES. @throws {TypeError} naming the alias that is wrong */
export function parseModelAliases(text: string): ModelAlias[] {
  const aliases = text.split(",").map((part) => part.trim()).filter(Boolean).map(parseAlias);
  const names = aliases.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) throw wrong(`'${twice}' stands there twice`);
  return aliases;
}

/** Returns the alias for a name: the one of that name, else the first that its beginning fits. */
export function aliasNamed(name: string, aliases: readonly ModelAlias[]): ModelAlias | undefined {
  const own = aliases.find((alias) => alias.name === name);
  if (own !== undefined) return own;
  const wide = aliases.find((alias) => isWide(alias) && name.startsWith(alias.name.slice(0, -1)));
  return wide && { ...wide, name };
}

/** Returns whether an alias stands for many names. */
export function isWide({ name }: ModelAlias): boolean {
  return name.endsWith("*");
}

/** Returns the card of the model that `alias` stands for. Undefined if that model is not served. */
export function targetOf({ target }: ModelAlias, cards: readonly ModelCard[]): ModelCard | undefined {
  const named = cards.find(({ id }) => id === target);
  if (named !== undefined) return named;
  if (target === "pictures") return cards.find(({ video }) => video === undefined);
  return target === "videos" ? cards.find(({ video }) => video !== undefined) : undefined;
}

function parseAlias(text: string): ModelAlias {
  const [pair = "", ...options] = text.split(";").map((part) => part.trim());
  const [name, target] = splitOnce(pair);
  if (!name || !target) throw wrong(`current value has '${text}'`);
  const alias: ModelAlias = {
    name,
    target,
    size: "nearest",
    response_format: ANSWERS_WITH_URL.test(name) ? "url" : "b64_json",
  };
  for (const option of options) {
    const [key, value] = splitOnce(option);
    if (key === "size" && (value === "nearest" || value === "exact")) alias.size = value;
    else if (key === "response_format" && (value === "b64_json" || value === "url")) {
      alias.response_format = value;
    } else throw wrong(`current value has '${option}'`);
  }
  return alias;
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf("=");
  return at < 0 ? [text, ""] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

function wrong(found: string): TypeError {
  return new TypeError(`Cannot start as 'SPECTRUM_MODEL_ALIASES' must be ${RULE}: ${found}`);
}
