// Says after a run what was not read of its prompts.
import type { GenerateResult } from "../pipeline/pipeline.ts";
import type { TextCut } from "../text/text_cut.ts";

/** Returns a sentence for each prompt that was cut. */
export function cutWarnings(
  { promptCut, negativePromptCut }: Pick<GenerateResult, "promptCut" | "negativePromptCut">,
): string[] {
  return [sentence("prompt", promptCut), sentence("negative prompt", negativePromptCut)]
    .filter((warning) => warning !== undefined);
}

function sentence(name: string, cut: TextCut | undefined): string | undefined {
  if (cut === undefined || cut.dropped === 0) return undefined;
  const { dropped, limit } = cut;
  const tokens = dropped === 1 ? "The last token" : `The last ${dropped} tokens`;
  return `${tokens} of the ${name} ${
    dropped === 1 ? "was" : "were"
  } not read: the text encoder takes ${limit}.`;
}
