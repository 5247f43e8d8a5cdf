// Cleans prompts as in Wan's training: prompt_clean of diffusers' WanPipeline.
import { fixText } from "../../text/fix_text/fix_text.ts";
import { unescapeHtml } from "../../text/fix_text/unescape_html.ts";

/**
 * Returns the prompt in plain characters: straight quotes, no entities, no control
 * characters, no wide or half-wide forms.
 */
export function cleanPrompt(text: string): string {
  // Python's code strips before and after it collapses spaces.
  return unescapeHtml(unescapeHtml(fixText(text))).replace(SPACES, " ").replace(/^ | $/g, "");
}

/** Python's white space, which differs from JavaScript's. */
// deno-lint-ignore no-control-regex -- some of them are
const SPACES = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;
