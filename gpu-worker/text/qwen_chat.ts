// The conversation that Qwen3's published chat template makes of one message.

export interface QwenChatOptions {
  /**
   * Whether the answer may begin with thoughts (the template's enable_thinking). Otherwise they are empty.
   */
  thinking: boolean;
}

/** Returns the text of a conversation in which a user says `message` and the assistant's answer begins. */
export function qwenChat(message: string, { thinking }: QwenChatOptions): string {
  const thoughts = thinking ? "" : "<think>\n\n</think>\n\n";
  return `<|im_start|>user\n${message}<|im_end|>\n<|im_start|>assistant\n${thoughts}`;
}
