// Reads a client's Cache-Control: https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1

export interface RequestCaching {
  /** Largest age of a stored result in seconds. 0 asks for a run that is made or under way now. */
  maxAgeMs: number;
  /** Whether the result may be stored, and the run be shared. */
  store: boolean;
  /** Whether only a stored result will do, so that nothing is made. */
  onlyIfCached: boolean;
}

/** Reads the directives that mean something for results that never change. */
export function requestCaching(header: string | undefined): RequestCaching {
  if (header === undefined) return { maxAgeMs: Infinity, store: true, onlyIfCached: false };
  const directives = new Map(
    header.toLowerCase().split(",").map((directive) => {
      const [name = "", value] = directive.split("=", 2).map((part) => part.trim());
      return [name, value];
    }),
  );
  const maxAge = /^\d{1,10}$/.exec(directives.get("max-age") ?? "")?.[0];
  const store = !directives.has("no-store");
  const isFresh = directives.has("no-cache") || !store;
  return {
    maxAgeMs: isFresh ? 0 : maxAge === undefined ? Infinity : Number(maxAge) * 1000,
    store,
    onlyIfCached: directives.has("only-if-cached"),
  };
}
