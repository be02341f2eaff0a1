"""The reference: what every kernel means, in plain NumPy.

Written from the stream law and the papers, for reading rather than speed; it shares no code with the compiled core.
`kernels` stands in for a compiled backend, the other modules explain one subject each.
"""

from . import kernels

__all__ = ["kernels"]
