// The frame of a run: its picture, or a grid of several, each a preview at first. Finished ones open in full.
import { movingPicture, shown } from "./moving_picture.js";
import { fromTemplate } from "./slots.js";

/**
 * A finished picture has a `size`. `over` is an element that lies over it.
 * @typedef {{ type: string, alt: string, size?: { width: number, height: number },
 *   over?: HTMLElement | undefined }} ShownPicture
 */

export class PictureGrid {
  #frame;
  #onOpen;
  #columns = 1;
  #rows = 1;
  /** @type {HTMLElement[]} */
  #cells = [];

  /**
   * @param {HTMLElement} frame Has a note until there is something to see.
   * @param {{ onOpen: (index: number) => void }} options
   */
  constructor(frame, { onOpen }) {
    this.#frame = frame;
    this.#onOpen = onOpen;
  }

  /** @param {number} count */
  set count(count) {
    this.#columns = Math.ceil(Math.sqrt(count));
    this.#rows = Math.ceil(count / this.#columns);
    this.#frame.style.setProperty("--columns", String(this.#columns));
  }

  /** @param {number} index Marked as the one that the receipt is about. */
  set selected(index) {
    for (const [at, cell] of this.#cells.entries()) cell.toggleAttribute("data-selected", at === index);
  }

  /**
   * Shows a picture in its place.
   *
   * @param {number} index
   * @param {string} url
   * @param {ShownPicture} options
   */
  show(index, url, { type, alt, size, over }) {
    const picture = movingPicture(url, { type, alt, controls: true });
    picture.className = "picture-image";
    if (size) {
      const [width, height] = [size.width * this.#columns, size.height * this.#rows];
      this.#frame.style.setProperty("aspect-ratio", `${width} / ${height}`);
    }
    const cell = this.#cell(index);
    cell.dataset["newest"] = url;
    // The last picture stays until this one is decoded, so that the frame never flashes empty.
    shown(picture).then(() => {
      if (cell.dataset["newest"] !== url) return;
      cell.replaceChildren(picture, ...(over ? [over] : []), ...(size ? [this.#opener(index, type)] : []));
      if (!cell.isConnected) {
        this.#frame.replaceChildren(...this.#cells.filter((each) => each.hasChildNodes()));
      }
    });
  }

  /** @param {number} index */
  #cell(index) {
    for (let at = this.#cells.length; at <= index; at++) {
      this.#cells.push(Object.assign(document.createElement("div"), { className: "cell" }));
    }
    return /** @type {HTMLElement} */ (this.#cells[index]);
  }

  /**
   * A button that covers a picture; in a corner of a video, which has its own controls.
   *
   * @param {number} index
   * @param {string} type
   */
  #opener(index, type) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = type.startsWith("video/") ? "opener opener-corner" : "opener";
    button.title = "Enlarge";
    if (type.startsWith("video/")) button.append(fromTemplate("enlarge-template"));
    button.setAttribute("aria-label", this.#cells.length > 1 ? `Enlarge picture ${index + 1}` : "Enlarge");
    button.addEventListener("click", () => this.#onOpen(index));
    return button;
  }
}
