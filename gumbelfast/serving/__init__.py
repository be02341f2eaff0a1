"""What a server of a language model needs around `sample_tokens`: decode loops, speculative decoding, a watermark."""

from .prepared import TokenSampler
from .speculative import SpeculativeTokens, accept_drafts, match_drafts
from .watermark import WatermarkScore, score_watermark, watermark_seeds

__all__ = [
    "SpeculativeTokens",
    "TokenSampler",
    "WatermarkScore",
    "accept_drafts",
    "match_drafts",
    "score_watermark",
    "watermark_seeds",
]
