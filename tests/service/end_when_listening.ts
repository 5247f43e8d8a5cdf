// Loaded before a program: it is sent SIGTERM while it says where it listens.
const log = console.log;

console.log = (...values: unknown[]) => {
  log(...values);
  if (/"message":"listening"|^UPSTASH_REDIS_REST_URL=/.test(values.join(" "))) Deno.kill(Deno.pid, "SIGTERM");
};
