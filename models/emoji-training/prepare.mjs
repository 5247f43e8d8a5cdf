// Rasterises the Fluent Emoji (flat, MIT) that names.txt lists to 64x64 RGBA: OUT/emoji.rgba,
// OUT/captions.json. Usage, in a folder with `npm install sharp@0.35.5
// @iconify-json/fluent-emoji-flat@1.2.3`: node PATH/prepare.mjs [OUT]
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const SIZE = 64;
const OVERSAMPLING = 4;

// The packages are looked up where the command runs, so that they need not lie beside this file.
const require = createRequire(join(process.cwd(), "package.json"));
const sharp = require("sharp");
const icons = JSON.parse(readFileSync(require.resolve("@iconify-json/fluent-emoji-flat/icons.json"), "utf8"));
const out = process.argv[2] ?? "data";

const captions = readNames(readFileSync(new URL("names.txt", import.meta.url), "utf8"));
const pixels = [];
for (const { icon } of captions) pixels.push(await rasterise(icon));
mkdirSync(out, { recursive: true });
writeFileSync(join(out, "emoji.rgba"), Buffer.concat(pixels));
writeFileSync(join(out, "captions.json"), JSON.stringify(captions, null, 1));
console.log(`${captions.length} pictures in ${out}`);

/**
 * "taxi", "wrapped gift, gift" or "train, engine: locomotive" -> { name, aliases, icon }, one for each line.
 */
function readNames(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line && !line.startsWith("#"));
  return lines.map((line) => {
    const [words, icon] = line.split(":").map((part) => part.trim());
    const [name, ...aliases] = words.split(",").map((part) => part.trim());
    return { name, aliases, icon: (icon ?? name).replaceAll(" ", "-") };
  });
}

/** -> RGBA bytes, SIZE x SIZE, not premultiplied. */
function rasterise(name) {
  const icon = icons.icons[name];
  if (!icon) throw new Error(`Cannot rasterise '${name}' as Fluent Emoji has no icon of that name`);
  const [width, height] = [icon.width ?? icons.width ?? 16, icon.height ?? icons.height ?? 16];
  const side = SIZE * OVERSAMPLING;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}" ` +
    `viewBox="${icon.left ?? 0} ${icon.top ?? 0} ${width} ${height}">${icon.body}</svg>`;
  return sharp(Buffer.from(svg))
    .resize(SIZE, SIZE, { fit: "contain", background: "#0000" })
    .ensureAlpha().raw().toBuffer();
}
