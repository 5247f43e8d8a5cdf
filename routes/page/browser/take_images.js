// Image files that are dropped on a field, or anywhere on the page, or pasted.

/**
 * Hands over the images that come to a field. A hidden field takes none.
 *
 * @param {HTMLElement} root The field. While something hovers over it, it has data-over.
 * @param {object} options
 * @param {(images: File[]) => void} options.onImages
 * @param {boolean} [options.everywhere] Takes pasted images too, and drops beside other fields.
 */
export function takeImages(root, { onImages, everywhere = false }) {
  const place = everywhere ? document : root;
  place.addEventListener("dragover", (event) => hover(/** @type {DragEvent} */ (event)));
  place.addEventListener("drop", (event) => {
    delete root.dataset["over"];
    take(/** @type {DragEvent} */ (event).dataTransfer?.files, event);
  });
  place.addEventListener("dragleave", (event) => {
    const to = /** @type {DragEvent} */ (event).relatedTarget;
    if (to === null || !everywhere && !(to instanceof Node && root.contains(to))) delete root.dataset["over"];
  });
  if (everywhere) document.addEventListener("paste", (event) => take(event.clipboardData?.files, event));

  /** @param {DragEvent} event */
  function hover(event) {
    // Another field is under the pointer.
    if (event.defaultPrevented) return delete root.dataset["over"];
    if (root.hidden || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    root.dataset["over"] = "";
  }

  /**
   * @param {FileList | null | undefined} files
   * @param {Event} event
   */
  function take(files, event) {
    const images = [...files ?? []].filter(({ type }) => type.startsWith("image/"));
    if (images.length === 0 || root.hidden || event.defaultPrevented) return;
    event.preventDefault();
    onImages(images);
  }
}
