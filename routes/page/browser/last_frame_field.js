// The image that a video ends with, for models that take one.
import { ChosenImage } from "./chosen_image.js";

/** @import { ImageRequest, Model } from "./wire.d.ts" */

export class LastFrameField {
  #root;
  #image;

  /**
   * @param {HTMLElement} root
   * @param {{ onChange: () => void }} options
   */
  constructor(root, { onChange }) {
    this.#root = root;
    const words = { first: "Choose the last frame", other: "Another last frame" };
    this.#image = new ChosenImage(root, { onChange, words });
  }

  /** The image, whether the model takes it or not. */
  get file() {
    return this.#image.file;
  }

  set file(/** @type {File | undefined} */ file) {
    this.#image.file = file;
  }

  /** @returns {Pick<ImageRequest, "last_frame">} The fields to send. */
  get value() {
    return this.file === undefined || this.#root.hidden ? {} : { last_frame: this.file };
  }

  /** @param {Model | undefined} model Undefined while the list of models is on its way. */
  set model(model) {
    this.#root.hidden = model?.video?.last_frame === undefined;
  }
}
