// The image that a picture started from, laid over it: a slider moves the border between the two.

/**
 * Shows the start image over the picture, up to the slider.
 *
 * @param {string} url
 * @param {HTMLInputElement} slider From 0, the picture alone, to 100, the image alone.
 * @returns {HTMLImageElement}
 */
export function beforeImage(url, slider) {
  const image = new Image();
  image.src = url;
  image.alt = "The image before";
  image.className = "picture-image before-image";
  const show = () => {
    image.style.clipPath = `inset(0 ${100 - slider.valueAsNumber}% 0 0)`;
    image.hidden = slider.valueAsNumber === 0;
  };
  slider.addEventListener("input", show);
  show();
  return image;
}
