// Recognises the contents of a video of models/shapes, by measures that know nothing of the model: what
// stands out from the border, its median color, which ideal figure of the same area covers it best,
// which way its centroid goes.
import type { DecodedVideo } from "../../gpu-worker/media/decoded_video.ts";
import { COLORS, DIRECTIONS, GROUNDS } from "./shape_prompts.ts";

export interface Seen {
  shape: string;
  color: string;
  direction: string;
  ground: string;
}

type Rgb = [number, number, number];

/** Signed distance of a point from each figure, upright, with an area of 1, about its centroid. */
const FIGURES: Record<string, (x: number, y: number) => number> = {
  ball: (x, y) => Math.hypot(x, y) - Math.sqrt(1 / Math.PI),
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) - 0.5,
  // Equilateral: its centroid is an inradius above its base.
  triangle: (x, y) => Math.max(y, Math.abs(x) * Math.sqrt(3) / 2 - y / 2) - INRADIUS,
};
/** Inner radius of the equilateral triangle with an area of 1. */
const INRADIUS = Math.sqrt(1 / (3 * Math.sqrt(3)));
/** Distance in RGB that a pixel stands out by. */
const OUTSTANDING = 60;
/** Pixels that a shape has at least. */
const LEAST = 12;
/** Pixels that it moves at least. */
const LEAST_WAY = 6;

export function measureVideo({ width, height, frames }: DecodedVideo): Seen {
  const pixel = (frame: Uint8Array, x: number, y: number): Rgb => {
    const at = 3 * (y * width + x);
    return [frame[at]!, frame[at + 1]!, frame[at + 2]!];
  };
  const border: Rgb[] = [];
  for (const frame of frames) {
    for (let x = 0; x < width; x++) border.push(pixel(frame, x, 0), pixel(frame, x, height - 1));
    for (let y = 0; y < height; y++) border.push(pixel(frame, 0, y), pixel(frame, width - 1, y));
  }
  const ground = medianColor(border);
  const inside: Rgb[] = [];
  const shapes = frames.map((frame) => {
    const xs: number[] = [];
    const ys: number[] = [];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const rgb = pixel(frame, x, y);
        if (distance(rgb, ground) <= OUTSTANDING) continue;
        xs.push(x);
        ys.push(y);
        inside.push(rgb);
      }
    }
    return { xs, ys };
  });
  const named = nearest(GROUNDS, (color) => distance(color, ground));
  if (shapes.some(({ xs }) => xs.length < LEAST)) {
    return { shape: "nothing", color: "nothing", direction: "nothing", ground: named };
  }
  const votes = shapes.map((points) => nearestFigure(points));
  const count = (name: string) => votes.filter((vote) => vote === name).length;
  const hue = hueOf(medianColor(inside));
  return {
    shape: nearest(FIGURES, (_, name) => -count(name)),
    color: nearest(COLORS, (color) => circularDistance(hue, hueOf(color))),
    direction: directionOf(shapes[0]!, shapes.at(-1)!),
    ground: named,
  };
}

interface Points {
  xs: number[];
  ys: number[];
}

function directionOf(first: Points, last: Points): string {
  const dx = mean(last.xs) - mean(first.xs);
  const dy = mean(last.ys) - mean(first.ys);
  if (Math.hypot(dx, dy) < LEAST_WAY) return "nowhere";
  return DIRECTIONS[(Math.round(Math.atan2(dy, dx) / (Math.PI / 4)) + 8) % 8]!;
}

/**
 * Returns the figure that overlaps most (intersection over union), of those with the same area at the same
 * centroid.
 */
function nearestFigure({ xs, ys }: Points): string {
  const [cx, cy] = [mean(xs), mean(ys)];
  const scale = Math.sqrt(xs.length);
  return nearest(FIGURES, (figure) => {
    const inside = xs.filter((x, i) => figure((x - cx) / scale, (ys[i]! - cy) / scale) < 0).length;
    // Both have the same area: less intersection is more union.
    return -inside;
  });
}

function nearest<T>(named: Record<string, T>, far: (value: T, name: string) => number): string {
  return Object.entries(named).reduce((a, b) => far(b[1], b[0]) < far(a[1], a[0]) ? b : a)[0];
}

/** 0..1 around the circle. */
function hueOf([r, g, b]: Rgb): number {
  const max = Math.max(r, g, b);
  const range = max - Math.min(r, g, b) || 1;
  const sextant = max === r ? (g - b) / range : max === g ? 2 + (b - r) / range : 4 + (r - g) / range;
  return (sextant / 6 + 1) % 1;
}

function circularDistance(a: number, b: number): number {
  const apart = Math.abs(a - b);
  return Math.min(apart, 1 - apart);
}

function distance(a: Rgb, b: Rgb): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

function medianColor(colors: readonly Rgb[]): Rgb {
  return [0, 1, 2].map((channel) => median(colors.map((color) => color[channel]!))) as Rgb;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
