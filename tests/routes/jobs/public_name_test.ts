import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Webhooks } from "../../../routes/jobs/webhooks.ts";

const webhooks = new Webhooks({
  secret: new Uint8Array(24).toBase64(),
  origins: ["*", "https://named.internal:8443"],
  log: () => {},
});

describe("webhook addresses under '*'", () => {
  it("public names by https pass", () => {
    for (
      const url of [
        ...["https://client.example/hook", "https://a.b.co.uk/x?y", "https://client.example.:8443/"],
        ...[
          "https://bücher.example/",
          "https://x.xn--p1ai/",
          "https://1-2.example.com/",
          "https://localhost.example.com/",
        ],
        ...[
          "https://internal.example.com/",
          "https://hooks.slack.com/services/x",
          "https://named.internal:8443/x",
        ],
      ]
    ) webhooks.check(url);
  });

  it("addresses, names of private networks and names of no network do not", () => {
    const names = [
      // Addresses in any spelling.
      ...[
        "127.0.0.1",
        "10.0.0.7",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0",
        "127.0.0.1.",
      ],
      ...[
        "169.254.169.254",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.7]",
        "[fd00::1]",
        "[fe80::1]",
        "[64:ff9b::a00:1]",
      ],
      ...["[2001:db8::1]", "8.8.8.8", "①②⑦.0.0.1"],
      // Names without a dot.
      ...["localhost", "localhost.", "redis", "metadata", "intranet", "kubernetes"],
      // Private endings.
      ...[
        "a.localhost",
        "a.localhost.",
        "printer.local",
        "printer.LOCAL",
        "metadata.google.internal",
        "nas.lan",
      ],
      ...[
        "x.home.arpa",
        "x.home",
        "x.corp",
        "x.intranet",
        "x.private",
        "x.localdomain",
        "x.invalid",
        "x.test",
      ],
      ...["x.onion", "x.alt", "x.mail", "1.0.0.127.in-addr.arpa", "redis.default.svc", "x.svc.cluster.local"],
      ...["x.service.consul", "x.docker", "fritz.box", "x.fritz.box", "localhost.localdomain", "x.workgroup"],
      ...["machine.tail1234.ts.net"],
      // Public names of private addresses.
      ...["127.0.0.1.nip.io", "10-0-0-7.sslip.io", "localtest.me", "a.lvh.me", "xip.io"],
      ...["127-0-0-1.ip.addr.tools", "192-168-1-1.any.example", "a.172.20.0.9.b.example", "x.plex.direct"],
      ...["app-10-0-0-7.any.example", "100-64-0-1.any.example", "169.254.169.254.any.example"],
      // No names.
      ...["a..example", "a.example..", ".example", "-a.example", "a-.example", "a.1", "a.example1", "x.0x7f"],
      ...[`${"a".repeat(64)}.example`, `${"a.".repeat(127)}example`],
    ];
    const urls = [
      ...names.map((name) => `https://${name}/hook`),
      ...["http://client.example/", "ftp://client.example/", "https://user@client.example/"],
      ...["https://user:secret@client.example/", "https://:secret@client.example/"],
      ...["https://client.example@10.0.0.7/", "https://x@named.internal:8443/", "https://named.internal/"],
    ];
    for (const url of urls) {
      // Text that is not a URL never gets this far.
      if (!URL.canParse(url)) continue;
      assert.throws(() => webhooks.check(url), { code: "webhook_not_allowed" }, url);
    }
  });
});
