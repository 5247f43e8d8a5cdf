// The error for a bad option. It carries the option's name, so that nobody has to search the message for it.

/** Spells the name of an option, e.g. as the wire has it. */
export type SpellOption = (option: string) => string;

/** Options of {@linkcode OptionError}. */
export interface OptionErrorOptions extends ErrorOptions {
  /** Completes "Cannot ...". */
  action: string;
  /** Name of the option, in camelCase. */
  option: string;
  /**
   * The rule and the value, e.g. "must be >= 1: current value is 0". A function quotes the
   * other options that it names.
   */
  problem: string | ((quote: SpellOption) => string);
}

/** Thrown for an option that breaks a rule. Its `name` stays "RangeError". */
export class OptionError extends RangeError {
  /** Name of the option, in camelCase. */
  readonly option: string;
  readonly #options: OptionErrorOptions;

  /** Words the message with the options' own names. */
  constructor(options: OptionErrorOptions) {
    super(word(options, (option) => option), options);
    this.option = options.option;
    this.#options = options;
  }

  /** Returns the message with each option spelt as `spell` says. */
  messageIn(spell: SpellOption): string {
    return word(this.#options, spell);
  }
}

function word({ action, option, problem }: OptionErrorOptions, spell: SpellOption): string {
  const quote = (name: string) => `'${spell(name)}'`;
  return `Cannot ${action} as ${quote(option)} ${typeof problem === "string" ? problem : problem(quote)}`;
}
