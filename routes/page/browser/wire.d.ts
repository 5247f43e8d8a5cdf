// The types that the page reads and writes on the wire: protocol/'s, and the stream of
// POST /v1/images/generations.
import type { ModelCard } from "../../../protocol/wire/model_card.ts";
import type { Receipt } from "../../../protocol/wire/receipt.ts";
import type { StepEvent } from "../../../protocol/wire/run_event.ts";
import type { SpectrumOptions as CompleteOptions } from "../../../protocol/wire/sampler_fields.ts";

export type { Receipt };

export type Method = Receipt["method"];
export type StepKind = StepEvent["kind"];

/** Options that are left out take the service's default for the method. */
export interface SpectrumOptions extends Partial<Omit<CompleteOptions, "method">> {
  method: Method;
  /** In place of `passes`: the fewest that reach it. */
  quality?: "draft" | "good" | "high";
}

/** A request as the page makes it; what is left out takes the model's default. */
export interface ImageRequest {
  prompt: string;
  model?: string;
  /** Pictures, of seeds seed..seed+n-1. @default 1 */
  n?: number;
  seed?: number;
  steps?: number;
  /** "WIDTHxHEIGHT" */
  size?: string;
  negative_prompt?: string;
  guidance_scale?: number;
  true_cfg_scale?: number;
  /** The start image; with one, the request goes to POST /v1/images/edits. */
  image?: File;
  strength?: number;
  /** The places of the image to draw anew are transparent. */
  mask?: File;
  /** The painted part and this many pixels around it are drawn alone, in `size`, and put back. */
  padding_mask_crop?: number;
  /** The images that the model looks at, in their order; they too go to POST /v1/images/edits. */
  references?: File[];
  /** The image that a video ends with. */
  last_frame?: File;
  /** The image that a ControlNet follows. */
  control_image?: File;
  controlnet?: string;
  control_scale?: number;
  control_mode?: number;
  output_format: "png" | "mp4";
  /** Videos only. */
  num_frames?: number;
  /** Frames a second of videos. */
  fps?: number;
  spectrum: SpectrumOptions;
}

/** Fields of all events. */
interface PictureEvent {
  /** Which picture of several. Videos are always one. */
  image_index?: number;
}

export interface QueuedEvent extends PictureEvent {
  type: "image_generation.queued";
  /** Runs before this one. */
  position: number;
}

/** Another worker makes the steps again. */
export interface RestartedEvent extends PictureEvent {
  type: "image_generation.restarted";
}

export interface ProgressEvent extends PictureEvent, Omit<StepEvent, "type"> {
  type: "image_generation.progress";
}

export interface PartialImageEvent extends PictureEvent {
  type: "image_generation.partial_image";
  b64_json: string;
  output_format: string;
}

export interface CompletedEvent extends PictureEvent {
  type: "image_generation.completed";
  /** Pictures only. */
  b64_json?: string;
  /** Videos only: the file. */
  picture?: Blob;
  output_format: string;
  receipt: Receipt;
}

export type ImageEvent = QueuedEvent | RestartedEvent | ProgressEvent | PartialImageEvent | CompletedEvent;

/** An entry of GET /v1/models. */
export type Model =
  & Pick<ModelCard, "id">
  & { alias_of?: string }
  & Partial<
    Pick<
      ModelCard,
      | "pipeline_class"
      | "title"
      | "device"
      | "names"
      | "defaults"
      | "calibration"
      | "sizes"
      | "limits"
      | "start_image"
      | "controlnets"
      | "references"
      | "video"
    >
  >;
