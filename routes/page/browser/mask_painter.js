// The mask of the image to start from: the places to draw anew, painted on it with mouse, pen or touch.
import { decodeImage } from "./decode_image.js";
import { numberIn } from "./field_errors.js";
import { slot } from "./slots.js";

/** @import { ImageRequest } from "./wire.d.ts" */

/** Longest side of the mask in pixels. The service resizes it to the picture. */
const MAX_SIDE = 1024;
/** Shown through. The service sees only which places are painted. */
const PAINT = "#e5484d";
/** Pixels around a part that is drawn alone, unless the user says another number. */
const PADDING = 32;

export class MaskPainter {
  #root;
  #onChange;
  #switch;
  #image;
  #canvas;
  #brush;
  #crop;
  #padding;
  #context;
  #painted = false;
  /** @type {{ x: number, y: number } | undefined} */
  #last;

  /**
   * @param {HTMLElement} root
   * @param {{ onChange: () => void }} options The mask has begun or ended.
   */
  constructor(root, { onChange }) {
    this.#root = root;
    this.#onChange = onChange;
    this.#switch = slot(root, "paint", HTMLInputElement);
    this.#image = slot(root, "below", HTMLImageElement);
    this.#canvas = slot(root, "canvas", HTMLCanvasElement);
    this.#brush = slot(root, "brush", HTMLInputElement);
    this.#crop = slot(root, "crop", HTMLInputElement);
    this.#padding = slot(root, "padding", HTMLInputElement);
    this.#context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    this.#crop.addEventListener("change", () => this.#refresh());
    this.#switch.addEventListener("change", () => this.#refresh());
    this.#image.addEventListener("load", () => this.#fit());
    // Formats that the browser cannot show cannot be painted on.
    this.#image.addEventListener("error", () => this.#root.hidden = true);
    slot(root, "clear", HTMLButtonElement).addEventListener("click", () => this.#clear());
    this.#canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.#canvas.addEventListener(end, () => this.#last = undefined);
    }
    this.#refresh();
  }

  /** Whether a place is painted and the mask is switched on. */
  get isUsed() {
    return this.#painted && this.#switch.checked && !this.#root.hidden;
  }

  /**
   * Returns the fields to send: none where nothing is painted. Painted places are transparent in the file.
   *
   * @returns {Pick<ImageRequest, "mask" | "padding_mask_crop">}
   */
  get value() {
    if (!this.isUsed) return {};
    const file = document.createElement("canvas");
    [file.width, file.height] = [this.#canvas.width, this.#canvas.height];
    const context = /** @type {CanvasRenderingContext2D} */ (file.getContext("2d"));
    context.fillRect(0, 0, file.width, file.height);
    context.globalCompositeOperation = "destination-out";
    context.drawImage(this.#canvas, 0, 0);
    const [, base64 = ""] = file.toDataURL("image/png").split(",");
    return {
      mask: new File([decodeImage(base64, "png")], "mask.png", { type: "image/png" }),
      ...(this.#crop.checked && { padding_mask_crop: numberIn(this.#padding) ?? PADDING }),
    };
  }

  /** @param {string | undefined} url Of the image to paint on. The mask of the last one is gone. */
  set image(url) {
    this.#root.hidden = url === undefined;
    this.#switch.checked = false;
    this.#crop.checked = false;
    this.#painted = false;
    if (url === undefined) this.#image.removeAttribute("src");
    else this.#image.src = url;
    this.#refresh();
  }

  /**
   * Paints a mask of before on the image that was set last.
   *
   * @param {File} mask
   * @param {number | undefined} padding Pixels around the part that is drawn alone, if one is.
   */
  async restore(mask, padding) {
    const [bitmap] = await Promise.all([createImageBitmap(mask), this.#image.decode()]);
    this.#fit();
    const { width, height } = this.#canvas;
    this.#context.fillStyle = PAINT;
    this.#context.fillRect(0, 0, width, height);
    this.#context.globalCompositeOperation = "destination-out";
    this.#context.drawImage(bitmap, 0, 0, width, height);
    this.#context.globalCompositeOperation = "source-over";
    this.#switch.checked = true;
    this.#crop.checked = padding !== undefined;
    this.#padding.value = String(padding ?? PADDING);
    this.#painted = true;
    this.#refresh();
    this.#onChange();
  }

  #fit() {
    const { naturalWidth, naturalHeight } = this.#image;
    const scale = Math.min(1, MAX_SIDE / Math.max(naturalWidth, naturalHeight));
    this.#canvas.width = Math.max(1, Math.round(naturalWidth * scale));
    this.#canvas.height = Math.max(1, Math.round(naturalHeight * scale));
  }

  #refresh() {
    slot(this.#root, "editor", HTMLElement).hidden = !this.#switch.checked;
    slot(this.#root, "around", HTMLElement).hidden = !this.#crop.checked;
    if (this.#painted) this.#onChange();
  }

  #clear() {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#painted = false;
    this.#onChange();
  }

  /** @param {PointerEvent} event */
  #begin(event) {
    if (!event.isPrimary || event.button !== 0) return;
    event.preventDefault();
    this.#canvas.setPointerCapture(event.pointerId);
    const isFirst = !this.#painted;
    this.#painted = true;
    this.#last = this.#place(event);
    this.#line(this.#last, event);
    if (isFirst) this.#onChange();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.#last === undefined || !event.isPrimary) return;
    // A browser joins quick movements in one event.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length > 0 ? events : [event]) this.#line(this.#place(part), part);
  }

  /**
   * @param {{ x: number, y: number }} to
   * @param {PointerEvent} event A pen's pressure widens the brush.
   */
  #line(to, { pointerType, pressure }) {
    const from = this.#last ?? to;
    const context = this.#context;
    const share = pointerType === "pen" && pressure > 0 ? 2 * pressure : 1;
    context.lineWidth = Math.max(1, Number(this.#brush.value) / 100 * this.#canvas.width * share);
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = PAINT;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    this.#last = to;
  }

  /** @param {PointerEvent} event */
  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return {
      x: (clientX - left) * this.#canvas.width / width,
      y: (clientY - top) * this.#canvas.height / height,
    };
  }
}
