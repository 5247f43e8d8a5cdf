// Refuses an option that a scheduler class defines and we do not support. All such errors have this wording.

/** An option that is set. */
export interface RefusedOption {
  className: string;
  /** As in scheduler_config.json. */
  name: string;
  /** Completes "... is not supported: ". */
  reason: string;
}

/** Refuses an option that the class does not support. @throws {TypeError} Always. */
export function refuseOption({ className, name, reason }: RefusedOption): never {
  throw new TypeError(`Cannot create the solver as '${name}' of ${className} is not supported: ${reason}`);
}
