// The benches' client of a worker: one picture, and the times of its first preview and its end.

/** As protocol/wire/run_request.ts has it, without model, prompt and seed. */
export interface PictureOptions {
  /** @default "models/emoji" */
  model?: string;
  seed: number;
  /** @default 0 */
  previews?: number;
}

/** Milliseconds since the request was sent. */
export interface PictureTimes {
  /** Only for a picture with previews. */
  firstPreview: number | undefined;
  picture: number;
}

/** @throws {Error} with the last event of a run that did not complete. */
export async function timePicture(
  workerUrl: string,
  { model = "models/emoji", seed, previews = 0 }: PictureOptions,
): Promise<PictureTimes> {
  const started = performance.now();
  const accepted = await fetch(`${workerUrl}/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, prompt: "red heart", seed, previews }),
  });
  const { id } = await accepted.json();
  const events = await fetch(`${workerUrl}/runs/${id}/events`);
  let firstPreview: number | undefined;
  let text = "";
  for await (const part of events.body!.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("event: preview")) firstPreview ??= performance.now() - started;
  }
  if (!text.includes("event: completed")) {
    throw new Error(`Cannot measure as the run ended with ${text.slice(-300)}`);
  }
  return { firstPreview, picture: performance.now() - started };
}
