import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { curlCommand } from "../../../routes/page/browser/curl_command.js";

const REQUEST = {
  prompt: `it's "5 $HOME" \\ \`id\``,
  output_format: "png",
  spectrum: { method: "none" },
} as const;

describe("curlCommand()", () => {
  it("curlCommand() survives the shell", async () => {
    const command = curlCommand(REQUEST, { origin: "http://localhost:8000", withKey: false });
    // The same words, with a printer in place of curl.
    const script = `curl() { printf '%s' "\${@: -1}"; }\n${command.slice(0, command.lastIndexOf(" |\n"))}`;
    const { stdout } = await new Deno.Command("bash", { args: ["-c", script] }).output();
    assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), REQUEST);
  });

  it("curlCommand() hands an image over as a file beside the other fields", async () => {
    const image = new File([], `it's "a", b.png`);
    const request = { ...REQUEST, image, strength: 0.5 };
    const command = curlCommand(request, { origin: "http://localhost:8000", withKey: false });
    assert.match(command, /^curl -sS http:\/\/localhost:8000\/v1\/images\/edits/);
    const script = `curl() { printf '%s\\n' "$@"; }\n${command.slice(0, command.lastIndexOf(" |\n"))}`;
    const { stdout } = await new Deno.Command("bash", { args: ["-c", script] }).output();
    assert.deepEqual(new TextDecoder().decode(stdout).trim().split("\n").slice(2), [
      ...["-F", String.raw`image=@"it's \"a\", b.png"`],
      ...["--form-string", `prompt=${REQUEST.prompt}`, "--form-string", "output_format=png"],
      ...["--form-string", `spectrum={"method":"none"}`, "--form-string", "strength=0.5"],
    ]);
  });

  it("curlCommand() hands over references in their order, and a video's frames", () => {
    const options = { origin: "http://localhost:8000", withKey: false };
    const [first, last] = [new File([], "a.png"), new File([], "b.png")];
    const edit = curlCommand({ ...REQUEST, references: [first, last] }, options);
    assert.match(edit, /\/v1\/images\/edits.*'image\[\]=@"a\.png"'.*'image\[\]=@"b\.png"'/s);
    assert.doesNotMatch(edit, /references/);
    const video = { ...REQUEST, output_format: "mp4", image: first, last_frame: last } as const;
    assert.match(curlCommand(video, options), /'input_reference=@"a\.png"' -F 'last_frame=@"b\.png"'/);
  });

  it("curlCommand() reads a control image into the JSON", async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/it's.png`, "bytes");
      const request = { ...REQUEST, control_image: new File([], "it's.png"), control_scale: 0.5 };
      const command = curlCommand(request, { origin: "http://localhost:8000", withKey: false });
      const script = `curl() { cat; }\n${command.slice(0, command.lastIndexOf(" |\n"))}`;
      const { stdout } = await new Deno.Command("bash", { args: ["-c", script], cwd: folder }).output();
      const expected = { ...REQUEST, control_scale: 0.5, control_image: btoa("bytes") };
      assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), expected);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  it("curlCommand() names a key's variable, never the key", () => {
    const options = { origin: "http://localhost:8000" };
    assert.match(curlCommand(REQUEST, { ...options, withKey: true }), /Bearer \$SPECTRUM_EDGE_KEY/);
    assert.doesNotMatch(curlCommand(REQUEST, { ...options, withKey: false }), /Bearer/);
  });
});
