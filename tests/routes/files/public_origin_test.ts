import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { publicOrigin } from "../../../routes/files/public_origin.ts";

describe("publicOrigin()", () => {
  it("prefers the configured address to the request's", () => {
    for (const url of ["http://evil.example/v1/x", "http://127.0.0.1:8000/v1/x"]) {
      assert.equal(publicOrigin(url, "https://pictures.example/somewhere"), "https://pictures.example");
    }
  });

  it("believes a request's address without a configured one where it is a number or this machine", () => {
    for (
      const origin of [
        "http://127.0.0.1:8000",
        "http://192.168.1.5:8000",
        "http://[::1]:8000",
        "http://localhost",
      ]
    ) {
      assert.equal(publicOrigin(`${origin}/v1/x?y`, undefined), origin);
    }
    for (
      const origin of [
        ...["http://evil.example", "http://evil.example:8000", "http://localhost.evil.example"],
        ...[
          "http://127.0.0.1.evil.example",
          "http://127.0.0.1.nip.io",
          "http://localhost.",
          "http://a.localhost",
        ],
      ]
    ) {
      assert.equal(publicOrigin(`${origin}/v1/x`, undefined), undefined, origin);
    }
  });
});
