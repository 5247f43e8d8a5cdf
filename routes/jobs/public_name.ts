// Which host names lead out of the operator's network.

/**
 * Names of private networks, and of none at all: RFC 6761, 6762, 8375, 9476, ICANN's list, and what
 * clusters and routers use.
 */
const PRIVATE_ENDINGS = new Set([
  ...["localhost", "localdomain", "local", "internal", "intranet", "intra", "private", "lan", "home", "corp"],
  ...["mail", "domain", "workgroup", "host", "router", "gateway", "belkin", "dlink", "arpa", "onion", "alt"],
  ...["test", "invalid", "bogon", "svc", "cluster", "pod", "node", "service", "consul", "docker", "kube"],
  ...["k8s", "nomad", "mesh", "ts", "vpn", "dmz", "priv", "loc", "lcl", "site-local", "fritz.box"],
  // Public names of private addresses.
  ...["nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me", "vcap.me", "lacolhost.com", "local.gd"],
  ...["localho.st", "1u.ms", "rbndr.us", "traefik.me", "yoogle.com", "ts.net", "localhost.run"],
  ...["plex.direct", "local-ip.co", "local-ip.sh"],
]);
/**
 * An address of a private network inside a name, with dots or hyphens: 127-0-0-1.any.example. Services that
 * resolve such names are too many to list, and some have certificates for them.
 */
const PRIVATE_ADDRESS = new RegExp(
  "(?:^|[.-])(?:" + [
    "(?:0|10|127)(?:[.-]\\d{1,3}){3}",
    "(?:169[.-]254|192[.-]168|172[.-](?:1[6-9]|2\\d|3[01]))(?:[.-]\\d{1,3}){2}",
    "100[.-](?:6[4-9]|[7-9]\\d|1[01]\\d|12[0-7])(?:[.-]\\d{1,3}){2}",
  ].join("|") + ")(?:[.-]|$)",
);
const LABEL = /^[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?$/;

/**
 * Returns whether `hostname`, as URL gives it, is a public name: no address in any spelling, and no name that
 * leads into a private network. A public name that leads to a private address gets no further than the
 * handshake: what listens there has no certificate for it.
 */
export function isPublicName(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  const labels = name.split(".");
  if (labels.length < 2 || name.length > 253 || !labels.every((label) => LABEL.test(label))) return false;
  // No top-level name has digits but for those in Punycode.
  if (!/^([a-z]{2,63}|xn--[a-z\d-]+)$/.test(labels.at(-1)!)) return false;
  if (PRIVATE_ADDRESS.test(name)) return false;
  return !labels.some((_, index) => PRIVATE_ENDINGS.has(labels.slice(index).join(".")));
}
