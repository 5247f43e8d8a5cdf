// `deno task keys`: API keys in the store that the edge is configured with.
import { bypassProxy } from "../protocol/process/bypass_proxy.ts";
import { readFlags } from "../protocol/process/read_flags.ts";
import { UsageError } from "../protocol/process/usage_error.ts";
import { RedisLink } from "../protocol/store/redis_link.ts";
import { drawApiKey } from "../routes/keys/api_key.ts";
import { monthCounter } from "../routes/keys/key_limits.ts";
import { type KeyRecord, type KeyStore, type Scope, SCOPES } from "../routes/keys/key_store.ts";
import { RedisKeyStore } from "../routes/keys/redis_key_store.ts";

const HELP = `Usage: deno task keys create|list|revoke [options]

  create --name TEXT        whose key it is; the key itself is printed once and stored nowhere
    --scopes A,B            of generate, read, admin (generate,read)
    --rpm N                 requests in any minute (no limit)
    --monthly-quota N       pictures in a calendar month, UTC (no limit)
    --no-metadata           files say nothing about how they were made, such as the prompt
  list                      all keys with what they have used this month
  revoke ID                 takes effect within 30 seconds

  --json                    one JSON value instead of text

The store is the edge's: UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN.
`;

if (import.meta.main) await main(Deno.args);

async function main(args: string[]): Promise<void> {
  try {
    await run(args);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    const message = error instanceof Error ? error.message : String(error);
    console.error(`keys: ${isUsage ? message : `the store did not answer: ${message}`}`);
    Deno.exit(isUsage ? 2 : 1);
  }
}

async function run(args: string[]): Promise<void> {
  const { words: [command = "", id], ...flags } = readFlags(args, {
    "words": "operands",
    "name": "text",
    "scopes": "text",
    "rpm": "text",
    "monthly-quota": "text",
    "no-metadata": "switch",
    "json": "switch",
    "help": "switch",
  });
  if (flags.help) return console.log(HELP);
  const print = (value: unknown, text: string) => console.log(flags.json ? JSON.stringify(value) : text);
  switch (command) {
    case "create": {
      const { key, record } = await drawApiKey({
        name: readName(flags.name),
        scopes: readScopes(flags.scopes ?? "generate,read"),
        requests_per_minute: readLimit("rpm", { text: flags.rpm, least: 1 }),
        pictures_per_month: readLimit("monthly-quota", { text: flags["monthly-quota"], least: 0 }),
        ...flags["no-metadata"] && { metadata: false },
        created_at: new Date().toISOString(),
      });
      if (!await openStore().add(record)) throw new Error("the id is taken; try again");
      const { secret_sha256: _, ...shown } = record;
      return print({ key, ...shown }, `${key}\nThis is shown once: it cannot be read back.`);
    }
    case "list": {
      const store = openStore();
      const rows = await Promise.all((await store.list()).map((record) => describe(record, store)));
      return print(rows, rows.map(toLine).join("\n") || "There are no keys.");
    }
    case "revoke": {
      if (id === undefined) throw new UsageError("the id is missing: deno task keys revoke ID");
      const record = await openStore().revoke(id, new Date());
      if (record === undefined) throw new UsageError(`there is no key '${id}'`);
      const { secret_sha256: _, ...shown } = record;
      return print(shown, `${id} (${record.name}) is revoked: no edge takes it 30 seconds from now.`);
    }
    default:
      throw new UsageError(`the command must be create, list or revoke: current value is '${command}'`);
  }
}

function openStore(): RedisKeyStore {
  const url = Deno.env.get("UPSTASH_REDIS_REST_URL");
  const token = Deno.env.get("UPSTASH_REDIS_REST_TOKEN");
  if (!url || !token) {
    throw new UsageError("UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN must name the edge's store");
  }
  bypassProxy();
  return new RedisKeyStore(new RedisLink({ url, token }));
}

type Row = Omit<KeyRecord, "secret_sha256"> & { pictures_this_month: number };

/** Pictures are counted where there is a limit. */
async function describe({ secret_sha256: _, ...shown }: KeyRecord, store: KeyStore): Promise<Row> {
  return { ...shown, pictures_this_month: await store.used(monthCounter(shown.id, new Date())) };
}

function toLine(row: Row): string {
  const limits = [
    row.requests_per_minute === null
      ? "any number of requests"
      : `${row.requests_per_minute} requests a minute`,
    row.pictures_per_month === null
      ? "any number of pictures"
      : `${row.pictures_this_month} of ${row.pictures_per_month} pictures this month`,
  ];
  if (row.metadata === false) limits.push("files without metadata");
  const state = row.revoked_at === null ? "" : `; revoked ${row.revoked_at}`;
  return `${row.id}  ${row.name}  ${row.scopes.join(",")}  ${
    limits.join(", ")
  }; created ${row.created_at}${state}`;
}

function readName(text: string | undefined): string {
  // Names are printed to terminals.
  if (text !== undefined && /^[^\p{Cc}]{1,100}$/u.test(text)) return text;
  throw new UsageError("--name takes 1..100 printable characters");
}

function readScopes(text: string): Scope[] {
  const given = text.split(",").map((scope) => scope.trim());
  const scopes = SCOPES.filter((scope) => given.includes(scope));
  if (scopes.length === new Set(given).size) return scopes;
  throw new UsageError(`--scopes takes ${SCOPES.join(", ")}: current value is '${text}'`);
}

function readLimit(
  flag: string,
  { text, least }: { text: string | undefined; least: number },
): number | null {
  if (text === undefined) return null;
  const number = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(number) && number >= least) return number;
  throw new UsageError(`--${flag} takes a whole number >= ${least}: current value is '${text}'`);
}
