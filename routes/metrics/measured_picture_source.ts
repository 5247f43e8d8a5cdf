// A picture source that counts where its pictures came from and how long they took.
import {
  type Picture,
  PictureSource,
  type PictureSourceOptions,
  type WantedPicture,
} from "../runs/picture_source.ts";
import type { EdgeMetrics } from "./edge_metrics.ts";

export interface MeasuredPictureSourceOptions extends PictureSourceOptions {
  metrics: EdgeMetrics;
}

export class MeasuredPictureSource extends PictureSource {
  readonly #metrics: EdgeMetrics;

  constructor({ metrics, ...options }: MeasuredPictureSourceOptions) {
    super(options);
    this.#metrics = metrics;
  }

  override async open(wanted: WantedPicture): Promise<Picture> {
    const startedAt = performance.now();
    const picture = await super.open(wanted);
    this.#metrics.opened(picture.cache);
    return { ...picture, events: (signal) => this.#measured(picture, { signal, startedAt }) };
  }

  async *#measured(
    { cache, events }: Picture,
    { signal, startedAt }: { signal: AbortSignal; startedAt: number },
  ): ReturnType<Picture["events"]> {
    let previewed = false;
    for await (const numbered of events(signal)) {
      const seconds = (performance.now() - startedAt) / 1000;
      if (numbered.event.type === "preview" && !previewed) {
        previewed = true;
        this.#metrics.previewed(seconds);
      } else if (numbered.event.type === "completed") {
        this.#metrics.completed(cache, seconds);
      }
      yield numbered;
    }
  }
}
