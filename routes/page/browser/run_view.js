// One run on the page: its strip of steps, the picture as it forms, and the receipt.
import { decodeImage } from "./decode_image.js";
import { movingPicture, shown } from "./moving_picture.js";
import { METHOD_OPTIONS } from "./method_options.js";
import { showReceipt } from "./receipt_view.js";
import { showFacts } from "./show_facts.js";
import { fromTemplate, slot } from "./slots.js";
import { StepStrip } from "./step_strip.js";

/** @import { ImageEvent, ImageRequest, Method, PartialImageEvent, ProgressEvent, Receipt, StepKind } from "./wire.d.ts" */

export class RunView {
  element = fromTemplate("run-template");
  #strip = new StepStrip(slot(this.element, "strip", HTMLElement));
  #status = slot(this.element, "status", HTMLElement);
  #frame = slot(this.element, "frame", HTMLElement);
  #note = slot(this.element, "note", HTMLElement);
  #previews = slot(this.element, "previews", HTMLElement);
  #prompt = "";
  #passes = 0;
  #steps = 0;
  #step = 0;
  /** @type {HTMLElement | undefined} */
  #newest;
  /** @type {string[]} */
  #urls = [];

  /**
   * Shows the plan of a run to come.
   *
   * @param {{ method: Method, plan: readonly StepKind[] }} planned
   */
  constructor({ method, plan }) {
    slot(this.element, "title", HTMLElement).textContent = METHOD_OPTIONS[method].label;
    this.#strip.plan(plan);
    this.#passes = plan.filter((kind) => kind === "full").length;
    this.#steps = plan.length;
    this.#figures();
  }

  /** What the run is doing, in a few words. */
  get status() {
    return this.#status.textContent;
  }

  /** Another run comes first. */
  wait() {
    this.#state("waiting", "Comes next");
  }

  /** @param {ImageRequest} request */
  start({ prompt }) {
    this.#prompt = prompt;
    this.#note.textContent = "The first preview will show here";
    this.#state("running", "Waiting for the service");
  }

  /** @param {ImageEvent} event Any but the last, which `finish` shows. */
  show(event) {
    switch (event.type) {
      case "image_generation.queued":
        return this.#state(
          "running",
          event.position > 0 ? `In the queue, ${event.position} ahead` : "Starting",
        );
      case "image_generation.progress":
        return this.#progress(event);
      case "image_generation.partial_image":
        return this.#preview(event);
    }
  }

  /** @param {{ request: ImageRequest, receipt: Receipt, picture: Blob }} finished */
  finish({ request, receipt, picture }) {
    this.#prompt = request.prompt;
    this.#strip.finish(receipt);
    const pictureUrl = this.#url(picture);
    this.#showPicture(pictureUrl, { type: picture.type, alt: request.prompt, size: receipt });
    showReceipt(slot(this.element, "receipt", HTMLElement), { request, receipt, pictureUrl });
    const fromCache = receipt.cache === "hit"
      ? "From the cache"
      : `Done in ${receipt.seconds.total.toFixed(2)} s`;
    this.#state("finished", fromCache);
  }

  /** @param {number} share Of the longer one of two runs: lengths of time can be compared by eye. */
  set timeScale(share) {
    slot(this.element, "times", HTMLElement).style.setProperty("--share", String(share));
  }

  /** @param {string} reason Cancelled or failed: what is there stays. */
  stop(reason) {
    this.#strip.stop();
    this.#note.textContent = "No picture";
    this.#state("stopped", reason);
  }

  /** Frees the pictures. */
  dispose() {
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.element.remove();
  }

  /** @param {ProgressEvent} event */
  #progress({ step_index, steps, kind, elapsed_ms, forecast_error }) {
    this.#step = step_index;
    this.#strip.done({ index: step_index, steps, kind, error: forecast_error });
    this.#figures(elapsed_ms / 1000);
    this.#state("running", `Step ${step_index + 1} of ${steps}`);
  }

  /** @param {number} [seconds] Since the run began. */
  #figures(seconds) {
    showFacts(slot(this.element, "figures", HTMLElement), {
      "Full passes": `${this.#passes} of ${this.#steps}`,
      "Speed-up limit": `${(this.#steps / this.#passes).toFixed(2)}×`,
      ...(seconds !== undefined && { Seconds: seconds.toFixed(1) }),
    });
  }

  /** @param {PartialImageEvent} event */
  #preview({ b64_json, output_format }) {
    const url = this.#url(decodeImage(b64_json, output_format));
    const caption = `after step ${this.#step}`;
    this.#showPicture(url, { type: `image/${output_format}`, alt: `Preview ${caption}: ${this.#prompt}` });
    const item = document.createElement("li");
    const image = new Image();
    image.src = url;
    image.alt = `Preview ${caption}`;
    image.title = image.alt;
    item.append(image);
    this.#previews.append(item);
    this.#previews.hidden = false;
  }

  /**
   * @param {string} url
   * @param {{ type: string, alt: string, size?: { width: number, height: number } }} options
   */
  #showPicture(url, { type, alt, size }) {
    const image = movingPicture(url, { type, alt, controls: true });
    image.className = "picture-image";
    if (size) {
      this.#frame.style.setProperty("aspect-ratio", `${size.width} / ${size.height}`);
      this.element.classList.toggle("large", size.width > 448);
    }
    this.#newest = image;
    // The last picture stays until this one is decoded, so that the frame never flashes empty.
    shown(image).then(() => {
      if (this.#newest === image) this.#frame.replaceChildren(image);
    });
  }

  /** @param {Blob} blob */
  #url(blob) {
    const url = URL.createObjectURL(blob);
    this.#urls.push(url);
    return url;
  }

  /**
   * @param {"waiting" | "running" | "finished" | "stopped"} state
   * @param {string} status
   */
  #state(state, status) {
    this.element.dataset["state"] = state;
    this.#status.textContent = status;
  }
}
