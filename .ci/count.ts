// Prints the counts of JUnit reports of `deno test` as one plain line; fails where a test failed or a report
// has none. Arguments: [--as TEXT], which goes before the line, and the reports.
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({ options: { as: { type: "string" } }, allowPositionals: true });
const counts = positionals.map((path) => count(Deno.readTextFileSync(path)));
const sum = (key: "passed" | "failed" | "skipped") => counts.reduce((sum, each) => sum + each[key], 0);
const line = `${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`;
console.log(values.as === undefined ? line : `${values.as}: ${line}`);
if (sum("failed") > 0 || counts.length === 0 || counts.some(({ tests }) => tests === 0)) Deno.exit(1);

function count(report: string) {
  const cases = [...report.matchAll(/<testcase name="([^"]*)"[^>]*>([^]*?)<\/testcase>/g)].map((
    [, name, body],
  ) => ({
    name: name!,
    failed: /<(failure|error)/.test(body!),
    skipped: body!.includes("<skipped"),
  }));
  // A describe() is reported beside its tests: only the leaves count.
  const parents = new Set(cases.map(({ name }) => name.split(" &gt; ").slice(0, -1).join(" &gt; ")));
  const leaves = cases.filter(({ name }) => !parents.has(name));
  const failed = leaves.filter((test) => test.failed).length;
  const skipped = leaves.filter((test) => test.skipped).length;
  return { tests: leaves.length, passed: leaves.length - failed - skipped, failed, skipped };
}
