// The table of sampler options. Flags, help, wire schemas, receipts, spectrum.json's schema, OpenAPI and the
// page derive from it. To add an option, add its row and the code that reads it. The names come from the
// paper's reference code (w, m, lam, window_size, flex_window, warmup_steps) and from TaylorSeer (order).

import type { Method } from "./methods.ts";

/** An option whose value is a number. */
export interface OptionRow {
  /** Name on the wire. */
  readonly wire: string;
  /** Name on the command line, after "--". */
  readonly flag: string;
  /** The option's meaning: one sentence without a full stop. */
  readonly help: string;
  /** Label of the field on the page. The page leaves out options without a label. */
  readonly label?: string;
  /** Whether the value is a whole number. */
  readonly integer?: true;
  /** Least value. */
  readonly min: number;
  /** Largest value. */
  readonly max?: number;
  /** Largest value on the wire, if the sampler itself sets no bound. */
  readonly wireMax?: number;
  /** Methods that read the option. @default every method that forecasts */
  readonly methods?: readonly Method[];
  /**
   * The option decides either a forecast's weights or which steps are full passes. A request that gives an
   * option of one way to choose the full passes replaces the checkpoint's choice of another way.
   */
  readonly decides: "forecast" | "window" | "errorBudget" | "passes";
  /** Default. A method's row may override it. */
  readonly default: number;
}

/** The table, by the options' names in camelCase. */
export const OPTION_TABLE = {
  passes: {
    wire: "passes",
    flag: "passes",
    help:
      "number of full passes; uses the checkpoint's stored plan for that number; 0 leaves it to the window",
    integer: true,
    min: 0,
    wireMax: 1000,
    decides: "passes",
    default: 0,
  },
  errorBudget: {
    wire: "error_budget",
    flag: "error-budget",
    label: "Error budget",
    help:
      "relative forecast error to aim at: measured errors widen or narrow the window; 0 switches this off",
    min: 0,
    decides: "errorBudget",
    default: 0,
  },
  windowSize: {
    wire: "window_size",
    flag: "window-size",
    label: "Window",
    help: "steps from one full pass to the next, right after the warm-up; the integer part counts",
    min: 1,
    wireMax: 1000,
    decides: "window",
    default: 2,
  },
  flexWindow: {
    wire: "flex_window",
    flag: "flex-window",
    label: "Window growth",
    help: "growth of the window with each full pass after the warm-up",
    min: 0,
    wireMax: 1000,
    decides: "window",
    default: 0.75,
  },
  warmupSteps: {
    wire: "warmup_steps",
    flag: "warmup-steps",
    label: "Warm-up steps",
    help: "full passes at the start of the run",
    integer: true,
    min: 1,
    wireMax: 1000,
    decides: "window",
    default: 5,
  },
  tailSteps: {
    wire: "tail_steps",
    flag: "tail-steps",
    label: "Tail steps",
    help: "full passes at the end of the run",
    integer: true,
    min: 0,
    wireMax: 1000,
    decides: "window",
    default: 0,
  },
  w: {
    wire: "w",
    flag: "w",
    label: "Blend, w",
    help: "share of the Chebyshev fit; the rest is linear extrapolation",
    min: 0,
    max: 1,
    methods: ["spectrum"],
    decides: "forecast",
    // The paper has 1; its authors now recommend 0.5..1.
    default: 0.5,
  },
  m: {
    wire: "m",
    flag: "m",
    label: "Degree, m",
    help: "highest degree of the Chebyshev basis, below the number of full passes",
    integer: true,
    min: 0,
    wireMax: 1000,
    methods: ["spectrum"],
    decides: "forecast",
    default: 4,
  },
  lam: {
    wire: "lam",
    flag: "lam",
    label: "Ridge, lam",
    help: "ridge penalty of the fit",
    min: 0,
    methods: ["spectrum"],
    decides: "forecast",
    default: 0.1,
  },
  constantPenalty: {
    wire: "constant_penalty",
    flag: "constant-penalty",
    label: "Penalty on T0",
    help: "share of the penalty on the constant term; at 0 forecasts keep their mean",
    min: 0,
    max: 1,
    methods: ["spectrum"],
    decides: "forecast",
    // The paper's.
    default: 1,
  },
  lamGrowth: {
    wire: "lam_growth",
    flag: "lam-growth",
    label: "Penalty growth",
    help: "exponent g of the penalty lam * K^g after K full passes; at 1 it keeps its weight",
    min: -2,
    max: 2,
    methods: ["spectrum"],
    decides: "forecast",
    // The paper's.
    default: 0,
  },
  order: {
    wire: "order",
    flag: "order",
    label: "Order",
    help: "highest order of the finite differences",
    integer: true,
    min: 1,
    max: 2,
    methods: ["taylorseer"],
    decides: "forecast",
    default: 1,
  },
} as const satisfies Readonly<Record<string, OptionRow>>;

/** The names of the options: in code, on the wire and on the command line. */
export interface OptionNames {
  /** In camelCase. */
  name: keyof typeof OPTION_TABLE;
  /** In snake_case. */
  wire: typeof OPTION_TABLE[keyof typeof OPTION_TABLE]["wire"];
  /** In kebab-case. */
  flag: typeof OPTION_TABLE[keyof typeof OPTION_TABLE]["flag"];
}

/** A row with its names. */
export type Option = OptionRow & OptionNames;

/** The table row by row. */
export const OPTIONS: readonly Option[] = Object.entries(OPTION_TABLE).map(([name, row]) => (
  { name: name as OptionNames["name"], ...row }
));

/** Returns a record with one entry for each option, by one of its names. */
export function mapOptions<K extends keyof OptionNames, T>(
  key: K,
  valueOf: (option: Option) => T,
): Record<OptionNames[K], T> {
  return Object.fromEntries(OPTIONS.map((option) => [option[key], valueOf(option)])) as Record<
    OptionNames[K],
    T
  >;
}

/** The options that decide one thing, as numbers by their names. */
export type OptionsOf<D extends OptionRow["decides"]> = {
  [N in OptionNames["name"] as typeof OPTION_TABLE[N]["decides"] extends D ? N : never]: number;
};
