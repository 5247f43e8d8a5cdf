// The commands of `spectrum`. Each is a task of deno.json, which has its permissions.

export interface Command {
  /** The task of deno.json. */
  task: string;
  about: string;
}

export const COMMANDS: Readonly<Record<string, Command>> = {
  generate: { task: "generate", about: "draw a picture or a video" },
  batch: { task: "batch", about: "draw a file of prompts" },
  serve: { task: "start", about: "serve OpenAI's and AUTOMATIC1111's APIs, and a page" },
  models: { task: "models", about: "list the checkpoints on this machine" },
  pull: { task: "pull", about: "download a checkpoint from the Hugging Face hub" },
  inspect: {
    task: "inspect",
    about: "say what a checkpoint is, whether it runs here and what memory it takes",
  },
  calibrate: { task: "calibrate", about: "measure a checkpoint, so that its forecasts become better" },
  devices: { task: "devices", about: "list what this machine offers to each provider" },
  completion: {
    task: "completion",
    about: "print a script that completes these commands: bash, zsh or fish",
  },
};
