// Prints what failed in JUnit reports of `deno test`, and then their counts as one plain line; fails where a
// test failed or a report has none. Arguments: [--as TEXT], which goes before the line, and the reports.
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({ options: { as: { type: "string" } }, allowPositionals: true });
const counts = positionals.map((path) => count(readReport(path)));
const sum = (key: "passed" | "failed" | "skipped") => counts.reduce((sum, each) => sum + each[key], 0);
// Forges keep a log's end alone, so the failures are told once more here.
for (const { name, body } of counts.flatMap(({ failures }) => failures)) {
  console.log(`FAILED ${text(name)}\n${excerpt(body)}`);
}
const line = `${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`;
console.log(values.as === undefined ? line : `${values.as}: ${line}`);
if (sum("failed") > 0 || counts.length === 0 || counts.some(({ tests }) => tests === 0)) Deno.exit(1);

/** Returns an empty report where a run ended before it wrote one. */
function readReport(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(`FAILED as there is no ${path}: the tests ran out of time`);
    return "";
  }
}

function count(report: string) {
  const cases = [...report.matchAll(/<testcase name="([^"]*)"[^>]*>([^]*?)<\/testcase>/g)].map((
    [, name, body],
  ) => ({
    name: name!,
    body: body!,
    failed: /<(failure|error)/.test(body!),
    skipped: body!.includes("<skipped"),
  }));
  // A describe() is reported beside its tests: only the leaves count.
  const parents = new Set(cases.map(({ name }) => name.split(" &gt; ").slice(0, -1).join(" &gt; ")));
  const leaves = cases.filter(({ name }) => !parents.has(name));
  // A suite that fails outside its tests (a leak, a hook) has no failed leaf.
  const failures = cases.filter(({ name, failed }) =>
    failed && !cases.some((other) => other.failed && other.name.startsWith(`${name} &gt; `))
  );
  const failed = failures.length;
  const skipped = leaves.filter((test) => test.skipped).length;
  const passed = leaves.filter((test) => !test.failed && !test.skipped).length;
  return { tests: leaves.length, passed, failed, skipped, failures };
}

/** The first 40 lines of a failure's message. */
function excerpt(body: string) {
  return text(body).trim().split("\n").slice(0, 40).map((line) => `  ${line}`).join("\n");
}

function text(markup: string) {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return markup.replace(/<[^>]*>/g, "").replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => entities[name]!);
}
