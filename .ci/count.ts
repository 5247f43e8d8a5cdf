// Prints the counts of a JUnit report of `deno test` as one plain line; fails where a test failed or none ran.
const report = Deno.readTextFileSync(Deno.args[0]!);
const cases = [...report.matchAll(/<testcase name="([^"]*)"[^>]*>([^]*?)<\/testcase>/g)].map((
  [, name, body],
) => ({
  name: name!,
  failed: /<(failure|error)/.test(body!),
  skipped: body!.includes("<skipped"),
}));
// A describe() is reported beside its tests: only the leaves count.
const parents = new Set(cases.map(({ name }) => name.split(" &gt; ").slice(0, -1).join(" &gt; ")));
const tests = cases.filter(({ name }) => !parents.has(name));
const failed = tests.filter((test) => test.failed).length;
const skipped = tests.filter((test) => test.skipped).length;
console.log(`${tests.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped`);
if (tests.length === 0 || failed > 0) Deno.exit(1);
