import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { RedisChannel } from "../../../protocol/store/redis_channel.ts";
import { RedisLink } from "../../../protocol/store/redis_link.ts";
import { StoreAwayError } from "../../../protocol/store/store_away_error.ts";
import { until } from "../../until.ts";

/** A REST interface whose answers the test decides; `undefined` is none at all. */
function startRest(answer: (command: string[]) => Response | undefined) {
  const commands: string[][] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const [first] = [await request.json()].flat(1);
    const command: string[] = Array.isArray(first) ? first : [first];
    commands.push(command);
    return answer(command) ?? await new Promise<Response>(() => {});
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    commands,
    [Symbol.asyncDispose]: () => Promise.race([server.shutdown(), moment(100)]),
  };
}

function moment(ms = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const PONG = () => Response.json([{ result: "PONG" }]);

describe("RedisLink", () => {
  it("lets one call of an outage wait for the deadline, and finds the store again by itself", async () => {
    let isSilent = true;
    await using rest = startRest(() => isSilent ? undefined : PONG());
    const link = new RedisLink({ url: rest.url, token: "x", timeoutMs: 300, pauseMs: 200 });
    let returns = 0;
    using _listener = link.returns(() => returns++);
    for (let call = 0; call < 5; call++) {
      await assert.rejects(link.ask((redis) => redis.get("a")), StoreAwayError);
    }
    assert.equal(rest.commands.length, 1);
    // As long as somebody asks, the link looks; nobody waits for that.
    await until(async () => {
      await assert.rejects(link.ask((redis) => redis.get("a")), StoreAwayError);
      return rest.commands.length >= 4;
    });
    isSilent = false;
    await until(() => link.ping());
    assert.equal(returns, 1);
  });

  it("does nothing while nobody asks, and the next call finds the store back", async () => {
    let isSilent = true;
    await using rest = startRest(() => isSilent ? undefined : PONG());
    const link = new RedisLink({ url: rest.url, token: "x", timeoutMs: 500, pauseMs: 10 });
    let returned = Promise.withResolvers<void>();
    using _listener = link.returns(() => returned.resolve());
    await assert.rejects(link.ask((redis) => redis.ping()), StoreAwayError);
    await returned.promise;
    assert.equal(rest.commands.length, 1);
    isSilent = false;
    returned = Promise.withResolvers();
    assert.equal(await link.ping(), true);
    assert.equal(rest.commands.length, 2);
  });

  it("begins no outage when a call from before the last one fails afterwards", async () => {
    await using rest = startRest(([name]) => name === "get" ? undefined : PONG());
    const link = new RedisLink({ url: rest.url, token: "x", timeoutMs: 200, pauseMs: 20 });
    const first = link.ask((redis) => redis.get("a"));
    await moment(100);
    const late = assert.rejects(link.ask((redis) => redis.get("b")), StoreAwayError);
    await assert.rejects(first, StoreAwayError);
    await until(() => link.ping());
    await late;
    assert.equal(await link.ping(), true);
  });

  it("lets a command wait for the store's return for as long as the command says", async () => {
    let isAway = true;
    await using rest = startRest(() => isAway ? new Response(null, { status: 502 }) : PONG());
    const link = new RedisLink({ url: rest.url, token: "x", pauseMs: 10 });
    const patient = (waitMs: number) => link.ask((redis) => redis.ping(), { waitMs });
    const first = patient(10_000);
    await assert.rejects(link.ask((redis) => redis.ping()), StoreAwayError);
    const second = patient(10_000);
    await assert.rejects(patient(50), StoreAwayError);
    isAway = false;
    await Promise.all([first, second]);
  });

  it("ends a command's wait if no call has had an answer, however often the store seemed back", async () => {
    await using rest = startRest(() => new Response(null, { status: 502 }));
    const link = new RedisLink({ url: rest.url, token: "x", pauseMs: 1 });
    await assert.rejects(link.ask((redis) => redis.ping(), { waitMs: 100 }), StoreAwayError);
    // Nobody asks: the next one finds out by itself.
    await moment(20);
    const commands = rest.commands.length;
    await assert.rejects(link.ask((redis) => redis.ping(), { waitMs: 100 }), StoreAwayError);
    assert.ok(rest.commands.length <= commands + 1);
  });

  it("errors do not contain the command; an error of Redis is an answer", async () => {
    let error = "Stream isn't writeable";
    await using rest = startRest(() => Response.json({ error }, { status: 400 }));
    const link = new RedisLink({ url: rest.url, token: "x", pauseMs: 1 });
    const secret = (cause: Error) => {
      assert.ok(!`${cause} ${cause.cause} ${cause.stack}`.includes("a secret prompt"), String(cause));
      return true;
    };
    const command = () => link.ask((redis) => redis.eval("return 1", [], ["a secret prompt"]));
    await assert.rejects(command(), (cause: Error) => secret(cause) && cause instanceof StoreAwayError);
    await moment(20);
    error = "ERR unknown command";
    for (let call = 0; call < 2; call++) {
      await assert.rejects(command(), (cause: Error) => secret(cause) && cause.message.startsWith("ERR"));
    }
  });

  it("sends large commands of one moment in requests of their own", async () => {
    await using rest = startRest(() => Response.json({ result: "x" }));
    const link = new RedisLink({ url: rest.url, token: "x" });
    const ask = (key: string) => link.ask((redis) => redis.get(key), { alone: true });
    assert.deepEqual(await Promise.all([ask("a"), ask("b")]), ["x", "x"]);
    assert.equal(rest.commands.length, 2);
  });
});

describe("RedisChannel", () => {
  /** A server that says it has subscribed, then nothing any more. */
  function startSilent() {
    let connections = 0;
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
      connections++;
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode("data: subscribe,c,1\n\n")),
        }),
      );
    });
    return {
      url: `http://127.0.0.1:${server.addr.port}`,
      connections: () => connections,
      [Symbol.asyncDispose]: () => Promise.race([server.shutdown(), moment(100)]),
    };
  }

  it("takes a connection that has fallen silent for broken", async () => {
    await using silent = startSilent();
    const options = { url: silent.url, token: "x", channel: "c", onMessage() {}, retryMs: 1 };
    using _channel = new RedisChannel({ ...options, idleMs: 20 });
    await until(() => silent.connections() >= 3);
  });

  it("renew() leaves a connection for a new one", async () => {
    await using silent = startSilent();
    const options = { url: silent.url, token: "x", channel: "c", onMessage() {}, retryMs: 60_000 };
    using channel = new RedisChannel(options);
    await until(() => channel.live);
    channel.renew();
    await until(() => silent.connections() >= 2 && channel.live);
  });
});
