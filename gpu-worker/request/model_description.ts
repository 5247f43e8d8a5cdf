// A model as requests see it. It comes from a checkpoint's configs, so it is known before anything is loaded.
import type { RequestDefaults } from "./request_defaults.ts";
import type { RequestRules } from "./request_rules.ts";

export interface ModelDescription {
  /** Fills the fields that a request leaves open: the checkpoint's spectrum.json over the family's preset. */
  readonly defaults: RequestDefaults;
  /** What the checkpoint allows. */
  readonly rules: RequestRules;
}
