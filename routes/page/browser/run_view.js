// One run on the page: its strip of steps, the pictures as they form, and the receipt of one of them.
import { beforeImage } from "./before_image.js";
import { decodeImage } from "./decode_image.js";
import { METHOD_OPTIONS } from "./method_options.js";
import { PictureGrid } from "./picture_grid.js";
import { pictureSize } from "./picture_size.js";
import { showReceipt } from "./receipt_view.js";
import { RunProgress } from "./run_progress.js";
import { showFacts } from "./show_facts.js";
import { fromTemplate, slot } from "./slots.js";
import { StepStrip } from "./step_strip.js";
import { openZoom } from "./zoom_dialog.js";

/** @import { Finished } from "./run_request.js" */
/** @import { PlannedRun } from "./stage.js" */
/** @import { ImageEvent, ImageRequest, PartialImageEvent, ProgressEvent, StepKind } from "./wire.d.ts" */

export class RunView {
  element = fromTemplate("run-template");
  #strip = new StepStrip(slot(this.element, "strip", HTMLElement));
  #status = slot(this.element, "status", HTMLElement);
  #note = slot(this.element, "note", HTMLElement);
  #previews = slot(this.element, "previews", HTMLElement);
  #receipt = slot(this.element, "receipt", HTMLElement);
  #grid = new PictureGrid(slot(this.element, "frame", HTMLElement), { onOpen: (index) => this.#open(index) });
  #prompt = "";
  /** @type {readonly StepKind[]} */
  #plan;
  #progress;
  /** The picture whose steps the strip shows. */
  #shown = 0;
  /** @type {(Finished & { url: string })[]} */
  #finished = [];
  /** @type {string[]} */
  #urls = [];

  /** @param {PlannedRun} planned A run to come. */
  constructor({ method, plan, count = 1, facts }) {
    slot(this.element, "title", HTMLElement).textContent = METHOD_OPTIONS[method].label;
    this.#plan = plan;
    this.#progress = new RunProgress(plan, count);
    this.#grid.count = count;
    this.#strip.plan(plan);
    if (plan.length > 0) this.#figures();
    else this.#status.textContent = "Asking the service for its models";
    if (facts) {
      const list = slot(this.element, "facts", HTMLElement);
      showFacts(list, facts);
      list.hidden = false;
    }
  }

  /** The run's present activity, in a few words. */
  get status() {
    return this.#status.textContent;
  }

  /** Seconds that a run under way still takes, once that is known. @returns {number | undefined} */
  get secondsLeft() {
    return this.element.dataset["state"] === "running" ? this.#progress.secondsLeft : undefined;
  }

  /** Shows that another run comes first. */
  wait() {
    this.#state("waiting", "Comes next");
  }

  /** Shows that the run begins. @param {ImageRequest} request */
  start({ prompt }) {
    this.#caption(prompt);
    this.#note.textContent = "The first preview will show here";
    this.#state("running", "Waiting for the service");
  }

  /** Shows that the connection is gone. The run may well go on. */
  lost() {
    this.#state("running", "Connection lost, trying again");
  }

  /** Shows an event. @param {ImageEvent} event Any but a completed picture, which `finish` shows. */
  show(event) {
    switch (event.type) {
      case "image_generation.queued":
        if (this.#progress.stepsOf(this.#progress.shown).length > 0) return;
        return this.#state(
          "running",
          event.position > 0 ? `In the queue, ${event.position} ahead` : "Starting",
        );
      case "image_generation.progress":
        return this.#step(event);
      case "image_generation.restarted":
        return this.#progress.restart(event.image_index ?? 0);
      case "image_generation.partial_image":
        return this.#preview(event);
    }
  }

  /**
   * Shows a completed picture.
   *
   * @param {Finished} finished
   * @param {number} [index] Its place among the pictures of the run.
   */
  finish(finished, index = 0) {
    const { request, receipt, picture } = finished;
    this.#caption(request.prompt);
    const url = this.#url(picture);
    this.#finished[index] = { ...finished, url };
    this.#progress.finish(index);
    const size = pictureSize(receipt);
    this.element.classList.toggle("large", size.width > 448);
    // A video begins with its image, and is nothing to compare it with.
    const [looked, ...others] = request.references ?? [];
    const before = request.image ?? (others.length === 0 ? looked : undefined);
    const over = before && request.output_format === "png" ? this.#before(before) : undefined;
    this.#grid.show(index, url, { type: picture.type, alt: request.prompt, size, over });
    if (!this.#progress.finished) return;
    this.#select(0);
    const { cache, seconds } = receipt;
    this.#state("finished", cache === "hit" ? "From the cache" : `Done in ${seconds.total.toFixed(2)} s`);
  }

  /** @param {number} share Of the longer one of two runs: lengths of time can be compared by eye. */
  set timeScale(share) {
    slot(this.element, "times", HTMLElement).style.setProperty("--share", String(share));
  }

  /** Shows why the run was cancelled or has failed. The pictures so far stay. @param {string} reason */
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
  #step(event) {
    this.#progress.add(event);
    const { shown } = this.#progress;
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#strip.plan(this.#plan);
      for (const earlier of this.#progress.stepsOf(shown)) this.#mark(earlier);
    } else if ((event.image_index ?? 0) === shown) this.#mark(event);
    this.#figures(event.elapsed_ms / 1000);
    this.#state("running", this.#progress.words);
  }

  /** @param {ProgressEvent} event */
  #mark({ step_index, steps, kind, forecast_error }) {
    this.#strip.done({ index: step_index, steps, kind, error: forecast_error });
  }

  /** @param {number} [seconds] Since the run began. */
  #figures(seconds) {
    const passes = this.#plan.filter((kind) => kind === "full").length;
    showFacts(slot(this.element, "figures", HTMLElement), {
      "Full passes": `${passes} of ${this.#plan.length}`,
      "Speed-up limit": `${(this.#plan.length / Math.max(passes, 1)).toFixed(2)}×`,
      ...(seconds !== undefined && { Seconds: seconds.toFixed(1) }),
    });
  }

  /** @param {PartialImageEvent} event */
  #preview({ b64_json, output_format, image_index = 0 }) {
    const url = this.#url(decodeImage(b64_json, output_format));
    const step = this.#progress.stepsOf(image_index).at(-1)?.step_index ?? 0;
    const caption = `after step ${step}`;
    this.#grid.show(image_index, url, {
      type: `image/${output_format}`,
      alt: `Preview ${caption}: ${this.#prompt}`,
    });
    if (image_index > 0) return;
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
   * @param {File} image What the run started from, or the only image that it looked at: it lies over the
   * picture up to where the slider stands.
   */
  #before(image) {
    slot(this.element, "before", HTMLElement).hidden = false;
    return beforeImage(this.#url(image), slot(this.element, "before-slider", HTMLInputElement));
  }

  /** @param {string} prompt */
  #caption(prompt) {
    this.#prompt = prompt;
    const caption = slot(this.element, "caption", HTMLElement);
    caption.textContent = prompt;
    caption.hidden = false;
  }

  /** @param {number} index A picture that is there. */
  #open(index) {
    openZoom(this.#finished.filter(Boolean), {
      index,
      onShow: (shown) => this.#progress.finished && this.#select(shown),
    });
  }

  /** @param {number} index The picture that strip and receipt are about. */
  #select(index) {
    const picture = this.#finished[index];
    if (!picture) return;
    this.#strip.plan(this.#plan);
    this.#strip.finish(picture.receipt);
    showReceipt(this.#receipt, { ...picture, pictureUrl: picture.url });
    if (this.#finished.length > 1) this.#grid.selected = index;
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
