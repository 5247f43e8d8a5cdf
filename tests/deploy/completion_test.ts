// The completion scripts, asked as a shell asks them.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { completionScript } from "../../deploy/completion.ts";
import { skipWithout } from "../installed.ts";

const WITHOUT_BASH = skipWithout("bash");

async function complete(...words: string[]): Promise<string[]> {
  const script = `${completionScript("bash")}
COMP_WORDS=(spectrum ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}
_spectrum; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, success } = await new Deno.Command("bash", { args: ["-c", script], stderr: "inherit" })
    .output();
  assert.ok(success);
  return new TextDecoder().decode(stdout).trim().split("\n").filter((line) => line !== "");
}

describe("completionScript()", () => {
  it("completes commands, flags and values in bash", { skip: WITHOUT_BASH }, async () => {
    assert.deepEqual(await complete("ca"), ["calibrate"]);
    assert.deepEqual(await complete("generate", "--num"), ["--num-frames"]);
    assert.deepEqual(await complete("generate", "--device", ""), ["cpu", "cuda", "webgpu"]);
    assert.deepEqual(await complete("pull", "--num"), []);
    assert.deepEqual(await complete("generate", "--from", "pic"), [], "files are the shell's own");
  });

  it("has a line for each command and flag in fish", () => {
    const script = completionScript("fish");
    assert.match(script, /^complete -c spectrum -n __fish_use_subcommand -f -a serve /m);
    assert.match(script, /^complete -c spectrum -n '__fish_seen_subcommand_from generate' -l json$/m);
    assert.match(script, /generate' -l device -x -a 'cpu cuda webgpu'$/m);
  });

  it("names the shells it knows", () => {
    assert.throws(
      () => completionScript("tcsh"),
      /the shell must be bash, zsh, fish: current value is 'tcsh'/,
    );
  });
});
