import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { bypassProxy } from "../../../protocol/process/bypass_proxy.ts";

describe("bypassProxy()", () => {
  it("adds this machine and the services to NO_PROXY in both spellings", () => {
    const variables = new Map([["no_proxy", "intranet.example, 10.0.0.0/8"]]);
    const env = {
      get: (name: string) => variables.get(name),
      set: (name: string, value: string) => void variables.set(name, value),
    };
    const urls = ["http://worker.example:8001", "http://[fd00::1]:8001"];
    bypassProxy({ urls, env });
    const expected = "intranet.example,10.0.0.0/8,localhost,127.0.0.0/8,::1,worker.example,fd00::1";
    assert.deepEqual(Object.fromEntries(variables), { no_proxy: expected, NO_PROXY: expected });
    bypassProxy({ urls, env });
    assert.equal(variables.get("NO_PROXY"), expected);
  });
});
