// Contents that models/shapes draws, and prompts that ask for them evenly: the same as
// models/shapes-training/measure.py asks.

export interface ShapePrompt {
  prompt: string;
  shape: string;
  color: string;
  direction: string;
  ground: string;
}

export const SHAPES = ["ball", "square", "triangle"];
/** sRGB. */
export const COLORS: Record<string, [number, number, number]> = {
  red: [220, 40, 40],
  orange: [245, 140, 25],
  yellow: [240, 205, 30],
  green: [45, 165, 75],
  blue: [45, 95, 225],
  purple: [150, 60, 190],
};
export const GROUNDS: Record<string, [number, number, number]> = {
  white: [255, 255, 255],
  black: [20, 20, 24],
  gray: [150, 150, 150],
  pink: [250, 205, 215],
};
/** Clockwise from the right, as angles grow on a screen. */
export const DIRECTIONS = ["right", "down right", "down", "down left", "left", "up left", "up", "up right"];

const GROUND_ORDER = ["white", "black", "white", "gray", "white", "pink"];
/** Coprime to the 144 combinations, so that they are visited evenly. */
const STRIDE = 37;

/** `count` prompts spread over every shape, color and direction; half of them on white, the default. */
export function shapePrompts(count: number): ShapePrompt[] {
  const colors = Object.keys(COLORS);
  return Array.from({ length: count }, (_, i) => {
    const index = (i * STRIDE) % (SHAPES.length * colors.length * DIRECTIONS.length);
    const shape = SHAPES[Math.floor(index / (colors.length * DIRECTIONS.length))]!;
    const color = colors[Math.floor(index / DIRECTIONS.length) % colors.length]!;
    const direction = DIRECTIONS[index % DIRECTIONS.length]!;
    const ground = GROUND_ORDER[i % GROUND_ORDER.length]!;
    const article = color === "orange" ? "an" : "a";
    const where = ground === "white" ? "" : ` on a ${ground} background`;
    const prompt = `${article} ${color} ${shape} moves ${direction}${where}`;
    return { prompt, shape, color, direction, ground };
  });
}
