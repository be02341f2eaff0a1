"""Distributions with the interface of `torch.distributions`; `gumbelfast.torch` has their public names."""
