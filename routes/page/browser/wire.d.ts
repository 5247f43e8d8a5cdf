// What the page reads and writes on the wire (POST /v1/images/generations, GET /v1/models).

export type Method = "none" | "spectrum" | "taylorseer" | "reuse";
export type StepKind = "full" | "forecast";

/** Options that are left out take the service's default for the method. */
export interface SpectrumOptions {
  method: Method;
  w?: number;
  m?: number;
  lam?: number;
  window_size?: number;
  flex_window?: number;
  warmup_steps?: number;
  order?: number;
}

export interface ImageRequest {
  prompt: string;
  model?: string;
  seed?: number;
  steps?: number;
  /** "WIDTHxHEIGHT" */
  size?: string;
  negative_prompt?: string;
  guidance_scale?: number;
  true_cfg_scale?: number;
  output_format: "png";
  spectrum: SpectrumOptions;
}

export interface Receipt {
  model: string;
  model_digest: string;
  seed: number;
  steps: number;
  width: number;
  height: number;
  method: Method;
  options: Record<string, unknown>;
  full_steps: number[];
  forecast_steps: number[];
  /** Step index -> relative error that a forecast would have made there. */
  forecast_errors: Record<string, number>;
  seconds: { queue: number; encode: number; denoise: number; decode: number; total: number };
  cache: "hit" | "miss";
  worker: string;
}

export interface QueuedEvent {
  type: "image_generation.queued";
  position: number;
}

export interface ProgressEvent {
  type: "image_generation.progress";
  step_index: number;
  steps: number;
  kind: StepKind;
  sigma: number;
  elapsed_ms: number;
  forecast_error?: number;
}

export interface PartialImageEvent {
  type: "image_generation.partial_image";
  b64_json: string;
  partial_image_index: number;
  output_format: string;
}

export interface CompletedEvent {
  type: "image_generation.completed";
  b64_json: string;
  seed: number;
  size: string;
  output_format: string;
  receipt: Receipt;
}

export type ImageEvent = QueuedEvent | ProgressEvent | PartialImageEvent | CompletedEvent;

export interface Model {
  id: string;
  pipeline_class?: string;
  digest?: string;
  /** Prompts that it knows by heart. */
  names?: string[];
  defaults?: Partial<{
    steps: number;
    width: number;
    height: number;
    guidance_scale: number;
    true_cfg_scale: number;
  }>;
}
