import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pooledFetch } from "../../../protocol/http/pooled_fetch.ts";
import { until } from "../../until.ts";

const CALLS = 60;

describe("pooledFetch()", () => {
  it("keeps few of the connections that many calls at a time have opened", async () => {
    let [asked, open] = [0, 0];
    const { promise: all, resolve } = Promise.withResolvers<void>();
    const server = createServer(async (_, response) => {
      if (++asked === CALLS) resolve();
      await all;
      response.end("answer");
    });
    server.on("connection", (socket) => {
      open++;
      socket.on("close", () => open--);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const answers = Array.from({ length: CALLS }, () => pooledFetch(`http://127.0.0.1:${port}/`));
      await all;
      assert.equal(open, CALLS);
      for (const answer of answers) assert.equal(await (await answer).text(), "answer");
      await until(() => open <= 20);
      assert.equal(await (await pooledFetch(`http://127.0.0.1:${port}/`)).text(), "answer");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
