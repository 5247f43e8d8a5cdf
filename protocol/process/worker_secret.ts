// Secrets of the environment. SPECTRUM_WORKER_SECRET is what edges and workers share, so that a worker
// knows whose calls it serves.

/** 128 bits in hex. */
const MIN_CHARACTERS = 32;

/** Reads SPECTRUM_WORKER_SECRET, as readSecret() does. */
export function readWorkerSecret(env: (name: string) => string | undefined): string | undefined {
  return readSecret("SPECTRUM_WORKER_SECRET", env);
}

/**
 * Returns the secret, or undefined if none is set.
 * @throws {TypeError} if it is short enough to be guessed.
 */
export function readSecret(name: string, env: (name: string) => string | undefined): string | undefined {
  const secret = env(name);
  if (!secret) return undefined;
  // White space is nothing that anybody would have to guess.
  const { length } = secret.replace(/[\s\p{C}]/gu, "");
  if (length >= MIN_CHARACTERS) return secret;
  throw new TypeError(
    `Cannot start as '${name}' must have at least ${MIN_CHARACTERS} characters, ` +
      `as 'openssl rand -hex 32' makes them: current value has ${length}`,
  );
}
