// A finished picture or video as an element: videos play without end and without sound, unless
// the reader wants no motion.

/**
 * Creates the element that shows a picture or a video.
 *
 * @param {string} url
 * @param {{ type: string, alt: string, controls?: boolean }} options `type` is the file's content type.
 * @returns {HTMLImageElement | HTMLVideoElement}
 */
export function movingPicture(url, { type, alt, controls = false }) {
  if (!type.startsWith("video/")) {
    const image = new Image();
    image.src = url;
    image.alt = alt;
    return image;
  }
  const video = document.createElement("video");
  video.src = url;
  video.setAttribute("aria-label", alt);
  video.loop = true;
  video.muted = true;
  video.playsInline = true;
  video.controls = controls;
  video.autoplay = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  return video;
}

/**
 * Resolves once there is something to see; never rejects.
 *
 * @param {HTMLImageElement | HTMLVideoElement} element
 * @returns {Promise<void>}
 */
export function shown(element) {
  if (element instanceof HTMLImageElement) return element.decode().catch(() => {});
  return new Promise((resolve) => {
    const done = () => resolve();
    element.addEventListener("loadeddata", done, { once: true });
    element.addEventListener("error", done, { once: true });
  });
}
