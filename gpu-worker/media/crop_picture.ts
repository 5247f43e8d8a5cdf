// Cuts a part out of a picture at the size of the whole, and puts the drawn part back. Source: diffusers'
// VaeImageProcessor, resize modes "fill" and "crop".
import sharp, { type Sharp } from "sharp";
import type { CropRegion } from "./crop_region.ts";
import { toPlanes } from "./decode_image.ts";
import type { DecodedMask } from "./decode_mask.ts";
import type { DecodedImage } from "./decoded_image.ts";
import { toRgb } from "./to_rgb.ts";

/** A picture and its mask, of one size. */
export interface MaskedPicture {
  image: DecodedImage;
  mask: DecodedMask;
}

/**
 * Returns a part of a picture and of its mask, enlarged to their size. The part keeps its proportions: what
 * rounding leaves at the edges repeats the last pixels.
 */
export async function cutOut({ image, mask }: MaskedPicture, region: CropRegion): Promise<MaskedPicture> {
  const { width, height } = image;
  const fill = async (pixels: Uint8Array, channels: 1 | 3) =>
    await filled(sharp(pixels, { raw: { width, height, channels } }).extract(region), {
      part: region,
      width,
      height,
      channels,
    });
  const [rgb, grey] = await Promise.all([fill(toRgb(image), 3), fill(mask.data, 1)]);
  return { image: { width, height, data: toPlanes(rgb) }, mask: { width, height, data: grey } };
}

/** Returns `picture` with `drawn`, reduced to the region, in the region's place. */
export async function putBack(
  picture: DecodedImage,
  { drawn, region }: { drawn: DecodedImage; region: CropRegion },
): Promise<DecodedImage> {
  const { width, height } = picture;
  const raw = { width: drawn.width, height: drawn.height, channels: 3 as const };
  const part = await sharp(toRgb(drawn), { raw })
    .resize({ width: region.width, height: region.height, fit: "cover" })
    .raw({ depth: "uchar" })
    .toBuffer();
  const planes = toPlanes(part);
  const data = picture.data.slice();
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < region.height; y++) {
      const from = (channel * region.height + y) * region.width;
      const to = (channel * height + region.top + y) * width + region.left;
      data.set(planes.subarray(from, from + region.width), to);
    }
  }
  return { width, height, data };
}

/** Resizes `part` into width x height and repeats its edges where its proportions differ. */
async function filled(
  picture: Sharp,
  { part, width, height, channels }: {
    part: CropRegion;
    width: number;
    height: number;
    channels: 1 | 3;
  },
): Promise<Uint8Array> {
  const isWide = width / height < part.width / part.height;
  const inner = {
    width: isWide ? width : Math.floor(part.width * height / part.height),
    height: isWide ? Math.floor(part.height * width / part.width) : height,
  };
  const left = Math.floor(width / 2) - Math.floor(inner.width / 2);
  const top = Math.floor(height / 2) - Math.floor(inner.height / 2);
  const resized = await picture
    .resize({ ...inner, fit: "fill" })
    .toColourspace(channels === 1 ? "b-w" : "srgb")
    .raw({ depth: "uchar" })
    .toBuffer();
  const edges = { left, top, right: width - inner.width - left, bottom: height - inner.height - top };
  return await sharp(resized, { raw: { ...inner, channels } })
    .extend({ ...edges, extendWith: "copy" })
    .toColourspace(channels === 1 ? "b-w" : "srgb")
    .raw({ depth: "uchar" })
    .toBuffer();
}
