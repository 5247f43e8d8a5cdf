// The request as a command for a shell: the same picture by curl, jq and base64.

/** @import { ImageRequest } from "./wire.d.ts" */

/**
 * Writes a request as a curl command.
 *
 * @param {ImageRequest} request
 * @param {{ origin: string, withKey: boolean }} options The key itself stays out of the clipboard.
 * @returns {string}
 */
export function curlCommand(request, { origin, withKey }) {
  if (request.output_format === "mp4") return videoCommand(request, { origin, withKey });
  const { control_image: control, ...rest } = request;
  const isEdit = request.image !== undefined || request.references !== undefined;
  const isPiped = control !== undefined && !isEdit;
  return [
    ...(isPiped
      ? [
        `base64 -w0 ${quote(control.name)} | jq -Rc ${
          quote(`${JSON.stringify(rest)} + {control_image: .}`)
        } |`,
      ]
      : []),
    `curl -sS ${origin}/v1/images/${isEdit ? "edits" : "generations"}`,
    ...(withKey ? [`-H "authorization: Bearer $SPECTRUM_EDGE_KEY"`] : []),
    ...(isEdit ? editArguments(request) : [
      `-H 'content-type: application/json'`,
      isPiped ? "-d @-" : `-d ${quote(JSON.stringify(request))}`,
    ]),
  ].join(" \\\n  ") + " |\n  jq -r '.data[0].b64_json' | base64 -d > picture.png";
}

/**
 * Creates the video, asks every second whether it is there, and downloads it.
 *
 * @param {ImageRequest} request
 * @param {{ origin: string, withKey: boolean }} options
 */
function videoCommand(request, { origin, withKey }) {
  const key = withKey ? ` -H "authorization: Bearer $SPECTRUM_EDGE_KEY"` : "";
  const videos = `${origin}/v1/videos`;
  const { image, last_frame, ...fields } = request;
  const frames = { ...(image && { input_reference: image }), ...(last_frame && { last_frame }) };
  const body = Object.keys(frames).length > 0
    ? formArguments(frames, fields).join(" ")
    : `-H 'content-type: application/json' -d ${quote(JSON.stringify(request))}`;
  const done = `jq -e '.status == "completed" or .status == "failed"'`;
  return [
    `id=$(curl -sS ${videos}${key} ${body} | jq -r .id)`,
    `until curl -sS "${videos}/$id"${key} | ${done}; do sleep 1; done`,
    `curl -sS "${videos}/$id/content"${key} -o video.mp4`,
  ].join("\n");
}

/** @param {ImageRequest} request */
function editArguments({ image, references, mask, control_image, ...fields }) {
  const images = {
    ...(image && { image }),
    ...(references && { "image[]": references }),
    ...(mask && { mask }),
    ...(control_image && { control_image }),
  };
  return formArguments(images, fields);
}

/**
 * The images are files in the folder that curl runs in.
 *
 * @param {Record<string, File | File[]>} images
 * @param {object} fields
 */
function formArguments(images, fields) {
  const texts = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `--form-string ${quote(`${name}=${text}`)}`;
  });
  const files = Object.entries(images).flatMap(([name, value]) =>
    [value].flat().map((file) => `-F ${quote(`${name}=@"${file.name.replaceAll(/["\\]/g, "\\$&")}"`)}`)
  );
  return [...files, ...texts];
}

/** @param {string} text */
function quote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
