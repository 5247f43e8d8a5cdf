import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { apiPath } from "../../../routes/middleware/api_path.ts";

describe("apiPath()", () => {
  const cases = {
    "/v1/images/generations": "/v1/images/generations",
    "/images/generations/": "/v1/images/generations",
    "/v1/v1//models": "/v1/models",
    "/files/file-0123/content": "/v1/files/file-0123/content",
    "/files": "/v1/files",
    // Addresses of pictures, whatever their names.
    "/files/0": "/files/0",
    "/files/abc.png": "/files/abc.png",
    "/docs/": "/docs/",
  };
  for (const [path, expected] of Object.entries(cases)) {
    it(`reads ${path}`, () => assert.equal(apiPath(new Request(`http://localhost${path}`)), expected));
  }
});
