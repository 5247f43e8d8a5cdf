import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { enterUserFolder } from "../../../protocol/process/enter_user_folder.ts";
import { PROJECT_FOLDER } from "../../../protocol/process/project_folder.ts";

function folderAfter(cwd: string, caller: string | undefined): string {
  let folder = cwd;
  enterUserFolder({ env: { get: () => caller }, cwd: () => cwd, chdir: (to) => folder = to });
  return folder;
}

describe("enterUserFolder()", () => {
  it("goes from the program's folder to the caller's", () => {
    assert.equal(folderAfter(PROJECT_FOLDER, "/home/me"), "/home/me");
  });

  it("stays where nobody called from, and where a program was started directly", () => {
    assert.equal(folderAfter(PROJECT_FOLDER, undefined), PROJECT_FOLDER);
    assert.equal(folderAfter("/srv", "/home/me"), "/srv");
  });
});
