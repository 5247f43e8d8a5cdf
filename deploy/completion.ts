// `deno task completion`: prints a script that completes `spectrum` in a shell, made from
// the flags of its commands.
import { BATCH_FLAGS } from "../gpu-worker/cli/batch/batch_arguments.ts";
import { CALIBRATE_FLAGS } from "../gpu-worker/cli/calibrate/calibrate_arguments.ts";
import { DEVICES_FLAGS } from "../gpu-worker/cli/devices/devices.ts";
import { GENERATE_FLAGS } from "../gpu-worker/cli/generate/generate_arguments.ts";
import { INSPECT_FLAGS } from "../gpu-worker/cli/inspect/inspect.ts";
import { MODELS_FLAGS } from "../gpu-worker/cli/models/models.ts";
import { PULL_FLAGS } from "../gpu-worker/cli/pull/pull.ts";
import { EMBEDDED_MODELS } from "../gpu-worker/checkpoint/embedded_models.ts";
import { WEIGHT_CHOICES } from "../gpu-worker/checkpoint/held_weights.ts";
import { DEVICES, DTYPES } from "../gpu-worker/flags/device_flags.ts";
import { WORKER_FLAGS } from "../gpu-worker/http/worker_arguments.ts";
import { type FlagKind, readFlags } from "../protocol/process/read_flags.ts";
import { runCommand } from "../protocol/process/run_command.ts";
import { UsageError } from "../protocol/process/usage_error.ts";
import { METHOD_NAMES, QUALITY_LEVELS } from "../sampler/mod.ts";
import { COMMANDS } from "./commands.ts";

const HELP = `Usage: deno task completion bash | zsh | fish

Prints a script that completes the command 'spectrum'. To load it in each new shell:

  bash   echo 'source <(spectrum completion bash)' >> ~/.bashrc
  zsh    echo 'source <(spectrum completion zsh)' >> ~/.zshrc
  fish   spectrum completion fish > ~/.config/fish/completions/spectrum.fish
`;

const OWN_FLAGS = { "shell": "operand", "help": "switch" } as const satisfies Record<string, FlagKind>;

const FLAGS: Readonly<Record<string, Readonly<Record<string, FlagKind>>>> = {
  generate: GENERATE_FLAGS,
  batch: BATCH_FLAGS,
  serve: { ...WORKER_FLAGS, key: "switch" },
  models: MODELS_FLAGS,
  pull: PULL_FLAGS,
  inspect: INSPECT_FLAGS,
  calibrate: CALIBRATE_FLAGS,
  devices: DEVICES_FLAGS,
  completion: OWN_FLAGS,
};

/** Values of flags, in every command that has them. Files complete the others. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  device: DEVICES,
  dtype: DTYPES,
  weights: WEIGHT_CHOICES,
  method: METHOD_NAMES,
  quality: Object.keys(QUALITY_LEVELS),
  model: EMBEDDED_MODELS,
};

const SHELLS: Readonly<Record<string, () => string>> = {
  bash: bashScript,
  // zsh runs bash's completions.
  zsh: () => `autoload -Uz compinit bashcompinit && compinit && bashcompinit\n${bashScript()}`,
  fish: fishScript,
};

/**
 * Returns the script that makes a shell complete commands and flags.
 * @throws {UsageError} naming the shells
 */
export function completionScript(shell: string): string {
  if (Object.hasOwn(SHELLS, shell)) return SHELLS[shell]!();
  throw new UsageError(`the shell must be ${Object.keys(SHELLS).join(", ")}: current value is '${shell}'`);
}

function flagsOf(command: string): [string, FlagKind][] {
  return Object.entries(FLAGS[command] ?? {}).filter(([, kind]) => kind !== "operand" && kind !== "operands");
}

function bashScript(): string {
  const flags = Object.keys(COMMANDS).map((command) =>
    `    ${command}) flags="${flagsOf(command).map(([flag]) => `--${flag}`).join(" ")}" ;;`
  );
  const values = Object.entries(CHOICES).map(([flag, words]) =>
    `    --${flag}) words="${words.join(" ")}" ;;`
  );
  return `_spectrum() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} flags="" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${Object.keys(COMMANDS).join(" ")}" -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${flags.join("\n")}
  esac
  case "$prev" in
${values.join("\n")}
  esac
  if [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  elif [[ "$cur" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  fi
}
complete -o default -F _spectrum spectrum
`;
}

function fishScript(): string {
  const commands = Object.entries(COMMANDS).map(([name, { about }]) =>
    `complete -c spectrum -n __fish_use_subcommand -f -a ${name} -d '${about.replaceAll("'", "\\'")}'`
  );
  const flags = Object.keys(COMMANDS).flatMap((command) =>
    flagsOf(command).map(([flag, kind]) => {
      const words = CHOICES[flag];
      const value = kind === "switch" ? "" : words === undefined ? " -r" : ` -x -a '${words.join(" ")}'`;
      return `complete -c spectrum -n '__fish_seen_subcommand_from ${command}' -l ${flag}${value}`;
    })
  );
  return `${[...commands, ...flags].join("\n")}\n`;
}

// deno-lint-ignore require-await -- runCommand awaits every command
async function completion(args: string[]): Promise<void> {
  const { shell, help } = readFlags(args, OWN_FLAGS);
  if (help) return console.log(HELP);
  if (shell === undefined) throw new UsageError("the shell is missing: deno task completion bash");
  console.log(completionScript(shell));
}

if (import.meta.main) await runCommand("completion", completion);
