// Limits of requests by architecture.
import type { ControlNetRules } from "./control.ts";
import type { ReferenceRules } from "./references.ts";
import type { StartImageRules } from "./start_image.ts";
import type { FrameRules } from "./video_frames.ts";

/** The limits that a family's architecture and a checkpoint set for a request. */
export interface RequestRules {
  /** Width and height must be whole multiples of this many pixels. */
  sizeMultiple: number;
  /**
   * Whether a call of the denoiser holds one picture only, as prompts differ in length.
   * @default false
   */
  drawnAlone?: boolean;
  /** Whether prompts may have weights and take several chunks of CLIP's length. @default false */
  clipPrompts?: boolean;
  /** Longest T5 prompt in tokens. */
  maxSequenceLength: number;
  /** Longest side in pixels. @default 4096 */
  maxSide?: number;
  /** The frames that a video may have. @default 1 frame, for families that make pictures */
  video?: VideoRules;
  /** Number of blocks that skip-layer guidance can leave out. @default 0, for families without it */
  skippableLayers?: number;
  /** The meaning of guidanceScale: an input of the network, classifier-free guidance (above 1), or none. */
  guidance: "distilled" | "cfg" | "none";
  /** The guidanceScale that switches classifier-free guidance off. @default 1 */
  unguidedScale?: 0 | 1;
  /** Whether cfgNormalization and cfgTruncation have an effect. @default false */
  guidanceLimits?: boolean;
  /** Whether guidanceScale2 has an effect: there are two networks. @default false */
  guidanceScale2?: boolean;
  /** Whether guidanceRescale has an effect. @default false */
  guidanceRescale?: boolean;
  /** How a run starts from an image. @default runs cannot start from an image */
  startImage?: StartImageRules;
  /** The ControlNets that a request may name. @default none */
  controlNets?: readonly ControlNetRules[];
  /** The images that the model looks at while it draws. @default the model takes none */
  references?: ReferenceRules;
  /**
   * The part without which the checkpoint draws from text alone, though its class looks at images.
   * @default nothing is missing
   */
  lacksForImages?: string;
}

export interface VideoRules {
  /** numFrames - 1 must be a multiple of this. */
  frameStep: number;
  maxFrames: number;
  /** @default 1 */
  minFrames?: number;
  /** Latent frames, numFrames / frameStep rounded up, must be whole multiples of this. @default 1 */
  framePatch?: number;
  /** The frames that a video may begin and end with. @default videos begin from text alone */
  frames?: FrameRules;
}
