// The table of what the pictures show.
import { markdownTable } from "./markdown_table.ts";
import { BACKGROUNDS, type RecognitionRecord } from "./measure_recognition.ts";
import { RECOGNITION_METHODS } from "./methods.ts";
import { meanOf } from "./statistics.ts";

export function recognitionReport(records: readonly RecognitionRecord[]): string {
  const rows = RECOGNITION_METHODS.flatMap(({ name, passes, steps }) => {
    const own = records.filter(({ method }) => method === name);
    if (own.length === 0) return [];
    const psnrs = own.flatMap(({ psnr }) => psnr ?? []);
    return [[
      name,
      `${passes} of ${steps}`,
      String(own.length),
      String(new Set(own.map((record) => record.name)).size),
      percent(own, (record) => record.nearest === record.name),
      percent(own, (record) => record.background === record.color),
      psnrs.length > 0 ? meanOf(psnrs).mean.toFixed(1) : "",
    ]];
  });
  const header = ["method", "full passes", "pictures", "names", "top-1", "background", "PSNR in dB"];
  return [markdownTable(header, rows), colours(records), missed(records)].join("\n\n");
}

function colours(records: readonly RecognitionRecord[]): string {
  const rows = RECOGNITION_METHODS.flatMap(({ name }) => {
    const own = records.filter(({ method }) => method === name);
    if (own.length === 0) return [];
    return [[
      name,
      ...BACKGROUNDS.map((color) => {
        const some = own.filter((record) => record.color === color);
        const top = percent(some, (record) => record.nearest === record.name);
        return `${top}, ${percent(some, (record) => record.background === record.color)}`;
      }),
    ]];
  });
  return markdownTable(["top-1, background", ...BACKGROUNDS], rows);
}

/** Names that method none or the default draws as another. */
function missed(records: readonly RecognitionRecord[]): string {
  return RECOGNITION_METHODS.map(({ name }) => {
    const wrong = records.filter(({ method, nearest, name: asked }) => method === name && nearest !== asked);
    const names = [...Map.groupBy(wrong, (record) => record.name)].sort(([, a], [, b]) =>
      b.length - a.length
    );
    const some = names.slice(0, 6).map(([asked, list]) => `${asked} (${list[0]!.nearest}) ${list.length}`);
    return `- ${name}: ${wrong.length === 0 ? "none" : some.join(", ")}${names.length > 6 ? ", ..." : ""}`;
  }).join("\n");
}

function percent<T>(values: readonly T[], holds: (value: T) => boolean): string {
  return `${(100 * values.filter(holds).length / values.length).toFixed(1)} %`;
}
