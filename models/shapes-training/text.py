"""Prompts as the transformer sees them in WanPipeline, without computing what is equal: the pipeline pads
embeddings with zero vectors to 512 tokens and attends to them unmasked. All padding has one key and one
value, so one such token with log(count) added to its score stands for it; attention is the same to the last
bits, at a tenth of the cost."""
import torch
import torch.nn.functional as F


class PaddedTextAttention:
    """Processor for the cross attention of WanTransformer3DModel; set `bias` [B, tokens] before each pass."""

    def __init__(self):
        self.bias = None

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, rotary_emb=None):
        heads = lambda x: x.unflatten(2, (attn.heads, -1)).transpose(1, 2)
        q, k = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(encoder_hidden_states))
        out = F.scaled_dot_product_attention(heads(q), heads(k), heads(attn.to_v(encoder_hidden_states)),
                                             attn_mask=self.bias[:, None, None])
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


def install(transformer):
    processor = PaddedTextAttention()
    for block in transformer.blocks:
        block.attn2.processor = processor
    return processor


def encode(nets, processor, ids, lengths, tokens):
    """-> embeddings [B, longest + 1, width]; sets the processor's bias to stand for padding up to tokens [B]
    """
    batch, longest = ids.shape
    real = torch.arange(longest + 1) < lengths[:, None]
    embeddings = nets["text_encoder"](ids, real[:, :-1].long()).last_hidden_state
    embeddings = F.pad(embeddings, (0, 0, 0, 1)) * real[:, :, None]
    first = torch.arange(longest + 1) == lengths[:, None]
    processor.bias = torch.where(real, 0.0,
                                 torch.where(first, (tokens - lengths).clamp(min=1).log()[:, None].float(),
                                             float("-inf")))
    return embeddings
