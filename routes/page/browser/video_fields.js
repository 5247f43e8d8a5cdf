// How long a video is and how fast it plays: shown for models that make videos.
import { numberIn } from "./field_errors.js";
import { slot } from "./slots.js";

/** @import { ImageRequest, Model } from "./wire.d.ts" */

export class VideoFields {
  #root;
  #frames;
  #fps;
  #length;
  /** @type {Model | undefined} */
  #model;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#frames = slot(root, "frames", HTMLInputElement);
    this.#fps = slot(root, "fps", HTMLInputElement);
    this.#length = slot(root, "length", HTMLOutputElement);
    root.addEventListener("input", () => this.#refresh());
  }

  /**
   * Returns the fields to send: none for pictures.
   *
   * @returns {Pick<ImageRequest, "output_format" | "num_frames" | "fps">}
   */
  get value() {
    if (this.#root.hidden) return { output_format: "png" };
    const num_frames = numberIn(this.#frames);
    const fps = numberIn(this.#fps);
    return {
      output_format: "mp4",
      ...(num_frames !== undefined && { num_frames }),
      ...(fps !== undefined && { fps }),
    };
  }

  /** @param {Pick<ImageRequest, "num_frames" | "fps">} value */
  set value({ num_frames, fps }) {
    this.#frames.value = String(num_frames ?? "");
    this.#fps.value = String(fps ?? "");
    this.#refresh();
  }

  /** @param {Model | undefined} model Undefined while the list of models is on its way. */
  set model(model) {
    this.#model = model;
    this.#root.hidden = model?.video === undefined;
    const { frame_step = 1, min_frames = 1, max_frames } = model?.video ?? {};
    this.#frames.step = String(frame_step);
    this.#frames.min = String(min_frames);
    this.#frames.max = max_frames === undefined ? "" : String(max_frames);
    this.#refresh();
  }

  #refresh() {
    const { num_frames, fps } = this.#model?.defaults ?? {};
    this.#frames.placeholder = num_frames === undefined ? "auto" : String(num_frames);
    this.#fps.placeholder = fps === undefined ? "auto" : String(fps);
    const frames = numberIn(this.#frames) ?? num_frames;
    const rate = numberIn(this.#fps) ?? fps;
    this.#length.value = frames === undefined || !rate ? "" : `${(frames / rate).toFixed(1)} s`;
  }
}
