"""What a server of a language model needs around `sample_tokens`.

Decode loops, penalties, speculative decoding, a watermark.
"""

from .penalties import bias_tokens, penalize_tokens
from .prepared import TokenSampler
from .speculative import SpeculativeTokens, accept_drafts, match_drafts
from .watermark import WatermarkScore, score_watermark, watermark_seeds

__all__ = [
    "SpeculativeTokens",
    "TokenSampler",
    "WatermarkScore",
    "accept_drafts",
    "bias_tokens",
    "match_drafts",
    "penalize_tokens",
    "score_watermark",
    "watermark_seeds",
]
