// The table of methods. To add a method, add a row here, its forecaster in ../create_forecaster.ts, and its
// name to the options that it reads in option_table.ts.

/** A method as the user interface shows it. */
export interface MethodRow {
  /** Name in the user interface. */
  readonly label: string;
  /** The method's effect, in one sentence. */
  readonly note: string;
  /** Defaults that differ from those of the option table. */
  readonly defaults?: Readonly<Record<string, number>>;
}

// TaylorSeer's FLUX settings (N = 4, O = 1): three full passes, then one in every four steps.
const EVERY_FOURTH = { windowSize: 4, flexWindow: 0, warmupSteps: 3 } as const;

/** How the steps between two full passes are forecast. "none" runs every step in full. */
export type Method = "none" | "calibrated" | "spectrum" | "taylorseer" | "reuse";

/** The table of methods. */
export const METHODS: Readonly<Record<Method, MethodRow>> = {
  none: { label: "None", note: "Every step runs the whole network." },
  calibrated: {
    label: "Calibrated",
    note: "Weighs the full passes by what runs of this checkpoint have shown of its features.",
  },
  spectrum: {
    label: "Spectrum",
    note: "Fits Chebyshev polynomials to the full passes and forecasts the steps between them.",
  },
  taylorseer: {
    label: "TaylorSeer",
    note: "Extrapolates the last full passes by finite differences.",
    defaults: EVERY_FOURTH,
  },
  reuse: {
    label: "Reuse",
    note: "Repeats the last full pass until the next one.",
    defaults: EVERY_FOURTH,
  },
};

/** The names, in the order of the user interface. */
export const METHOD_NAMES: readonly Method[] = Object.keys(METHODS) as Method[];
