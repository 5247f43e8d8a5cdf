// one edge with --cpu-prof, fake worker, autocannon against it and the bare handler in turn
import autocannon from "autocannon";
const deno = Deno.execPath();
async function start(args: string[], env: Record<string, string>, rx: RegExp) {
  const p = new Deno.Command(deno, {
    args: ["run", "-A", "--no-check", ...args],
    env,
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  const rd = p.stdout.pipeThrough(new TextDecoderStream()).getReader();
  while (true) {
    const { value, done } = await rd.read();
    if (done) throw new Error("ended " + text);
    text += value;
    const m = rx.exec(text);
    if (m) {
      (async () => {
        while (!(await rd.read()).done);
      })();
      return { p, url: m[1]! };
    }
  }
}
const L = /"message":"listening","url":"([^"]+)"/;
const w = await start(["tests/gpu-worker/http/serve_fake_worker.ts", "--port", "0", "--step-ms", "0"], {}, L);
const prof = Deno.args.includes("prof") ? ["--cpu-prof", "--cpu-prof-dir=/tmp/edge-prof"] : [];
const e = await start([...prof, "main.ts"], { PORT: "0", SPECTRUM_WORKERS: w.url }, L);
const body = JSON.stringify({ prompt: "red heart", steps: 1, spectrum: { method: "none" }, seed: 7 });
const init = { method: "POST", headers: { "content-type": "application/json" }, body };
const url = `${e.url.replace(/\/$/, "")}/v1/images/generations`;
const text = await (await fetch(url, init)).text();
console.log("bytes", text.length, (await fetch(url, init)).headers.get("x-spectrum-cache"));
const b = await start(["tests/bench/bare_handler.ts"], { BODY: text }, /bare handler at (\S+)/);
const load = async (u: string, s: number) =>
  (await autocannon({ url: u, method: "POST", headers: init.headers, body, connections: 16, duration: s }))
    .requests.average;
const [h, k]: [number[], number[]] = [[], []];
for (let i = 0; i < Number(Deno.args[0] ?? 3); i++) {
  h.push(await load(url, 2));
  k.push(await load(b.url, 2));
}
const med = (v: number[]) => v.toSorted((a, b) => a - b)[v.length >> 1]!;
console.log(
  "hits",
  h,
  "bare",
  k,
  "ratio",
  (med(h) / med(k)).toFixed(3),
  "us a hit",
  (1e6 / med(h)).toFixed(0),
);
e.p.kill("SIGINT");
await e.p.status;
w.p.kill("SIGKILL");
b.p.kill("SIGKILL");
Deno.exit(0);
