// A model as requests see it. It comes from a checkpoint's
// configs, so it is known before the model is loaded.
import type { SchedulerConfig } from "../../sampler/mod.ts";
import type { ModelCalibration } from "./model_calibration.ts";
import type { RequestDefaults } from "./request_defaults.ts";
import type { RequestRules } from "./request_rules.ts";

export interface ModelDescription {
  /**
   * Defaults for the fields that a request leaves open: the
   * checkpoint's spectrum.json, then the family's preset.
   */
  readonly defaults: RequestDefaults;
  /** Limits that the checkpoint sets for requests. */
  readonly rules: RequestRules;
  /** The checkpoint's scheduler_config.json. @default a request can choose no other scheduler */
  readonly scheduler?: SchedulerConfig;
  /** Measurements of the features of the checkpoint's runs. @default none */
  readonly calibration?: ModelCalibration;
}
