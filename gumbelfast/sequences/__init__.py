"""Searches over sequences that a model gives token by token: the best, a sample, or samples without replacement."""

from .searches import Sequences, StochasticBeams, ancestral_sample, beam_search, stochastic_beam_search

__all__ = ["Sequences", "StochasticBeams", "ancestral_sample", "beam_search", "stochastic_beam_search"]
