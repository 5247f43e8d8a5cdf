// The request as a command for a shell: the same picture by curl, jq and base64.

/** @import { ImageRequest } from "./wire.d.ts" */

/**
 * @param {ImageRequest} request
 * @param {{ origin: string, withKey: boolean }} options The key itself stays out of the clipboard.
 * @returns {string}
 */
export function curlCommand(request, { origin, withKey }) {
  return [
    `curl -sS ${origin}/v1/images/generations`,
    `-H 'content-type: application/json'`,
    ...(withKey ? [`-H "authorization: Bearer $SPECTRUM_EDGE_KEY"`] : []),
    `-d ${quote(JSON.stringify(request))} |`,
  ].join(" \\\n  ") + "\n  jq -r '.data[0].b64_json' | base64 -d > picture.png";
}

/** @param {string} text */
function quote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
