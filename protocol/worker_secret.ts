// SPECTRUM_WORKER_SECRET: what edges and workers share, so that a worker knows whose calls it serves.

const NAME = "SPECTRUM_WORKER_SECRET";
/** 128 bits in hex. */
const MIN_CHARACTERS = 32;

/**
 * The secret, or undefined where none is set.
 * @throws {TypeError} if it is short enough to be guessed.
 */
export function readWorkerSecret(env: (name: string) => string | undefined): string | undefined {
  const secret = env(NAME);
  if (!secret) return undefined;
  if (secret.length >= MIN_CHARACTERS) return secret;
  throw new TypeError(
    `Cannot start as '${NAME}' must have at least ${MIN_CHARACTERS} characters, ` +
      `as 'openssl rand -hex 32' makes them: current value has ${secret.length}`,
  );
}
