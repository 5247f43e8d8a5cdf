// What each picture says of its making.
import type { SkipLayerGuidance, SpectrumOptions } from "./run_request.ts";

export interface Receipt {
  model: string;
  /** Identifies the weights and configs, hex. */
  model_digest: string;
  seed: number;
  steps: number;
  width: number;
  height: number;
  method: SpectrumOptions["method"];
  /** All that decided the picture besides prompt, seed and size. */
  options:
    & Omit<SpectrumOptions, "method">
    & { guidance_scale: number; true_cfg_scale: number; guidance_rescale: number }
    & { skip_layer_guidance?: SkipLayerGuidance; strength?: number };
  /** 0-based indices of the steps that ran the whole network. */
  full_steps: number[];
  /** 0-based indices of the steps that were forecast. */
  forecast_steps: number[];
  /** Step index -> relative error that a forecast would have made there; measured at full steps. */
  forecast_errors: Record<string, number>;
  /** Wall time of the run that made the picture; `total` is from acceptance to the encoded picture. */
  seconds: { queue: number; encode: number; denoise: number; decode: number; total: number };
  /** Whether this answer came from the result store. */
  cache: "hit" | "miss";
  /** Name of the worker that made it. */
  worker: string;
}
