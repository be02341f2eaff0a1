"""gumbelfast in Hugging Face transformers: `generate` with a seed per sequence, and draws that cost next to nothing.

    from gumbelfast.transformers import sample_sequences

    model.generate(prompts, custom_generate=sample_sequences, do_sample=True, top_p=0.9)

All else is as `generate` has it (``docs/torch.md``, "In transformers").
"""

try:
    import torch as _torch  # noqa: F401
    import transformers as _transformers  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("torch", "transformers"):
        raise
    raise ImportError(
        'gumbelfast.transformers needs Hugging Face transformers and PyTorch: pip install "gumbelfast[transformers]"'
    ) from error

from .sampling import sample_sequences

__all__ = ["sample_sequences"]
