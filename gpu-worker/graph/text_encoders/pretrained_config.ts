// The options that transformers writes into every config.json besides a model's own
// (PretrainedConfig of 4.x and 5.x).
import { z } from "zod";

/** Options of bookkeeping, training and text generation, which do not affect an encoder's forward pass. */
const IGNORED = [
  ...[
    "architectures",
    "attn_implementation",
    "dtype",
    "experts_implementation",
    "model_type",
    "name_or_path",
  ],
  ...["tokenizer_class", "torch_dtype", "torchscript", "transformers_version", "use_bfloat16", "xla_device"],
  // The shape of Python's return value, and caches of decoders.
  ...["output_attentions", "output_hidden_states", "output_past", "return_dict", "tie_last_hidden_states"],
  ...["is_encoder_decoder", "tie_encoder_decoder", "tie_word_embeddings", "use_cache"],
  // Heads of other tasks, training.
  ...[
    "finetuning_task",
    "id2label",
    "label2id",
    "num_labels",
    "prefix",
    "problem_type",
    "task_specific_params",
  ],
  ...["chunk_size_feed_forward", "gradient_checkpointing", "initializer_factor", "initializer_range"],
  ...["tf_legacy_loss", "cross_attention_hidden_size"],
  // Tokens that only generation uses.
  ...["bos_token_id", "decoder_start_token_id", "eos_token_id", "forced_bos_token_id", "forced_eos_token_id"],
  ...["pad_token_id", "sep_token_id"],
  // Generation, which 4.x kept in the model's config.
  ...["bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping"],
  ...["encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "length_penalty", "max_length"],
  ...["min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences"],
  ...["output_scores", "remove_invalid_values", "repetition_penalty", "return_dict_in_generate"],
  ...["suppress_tokens", "temperature", "top_k", "top_p", "typical_p"],
] as const;

/** General options that would change an encoder's arithmetic. Only their neutral values are accepted. */
const NEUTRAL_ONLY = {
  add_cross_attention: z.literal(false).optional(),
  is_decoder: z.literal(false).optional(),
  pruned_heads: z.record(z.string(), z.unknown())
    .refine((heads) => Object.keys(heads).length === 0, "no heads can be pruned").nullish(),
};

type General = Record<typeof IGNORED[number], z.ZodOptional<z.ZodUnknown>> & typeof NEUTRAL_ONLY;

/**
 * Returns a strict schema of `options` (a model's own, which take precedence) and the keys that every
 * transformers config may have.
 */
export function pretrainedConfig<S extends z.ZodRawShape>(
  options: S,
): z.ZodObject<Omit<General, keyof S> & S> {
  const ignored = Object.fromEntries(IGNORED.map((key) => [key, z.unknown().optional()]));
  const shape = { ...ignored, ...NEUTRAL_ONLY, ...options };
  return z.strictObject(shape) as unknown as z.ZodObject<Omit<General, keyof S> & S>;
}
