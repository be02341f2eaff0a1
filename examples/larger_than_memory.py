"""Draw from a file without reading it into memory, from a cluster's array and from a stream: always the same draw.

Needs dask (pip install "gumbelfast[dask]"). A file of a billion logits works the same way; see docs/scale.md.
"""

import tempfile
from pathlib import Path

import dask.array as da
import numpy as np

import gumbelfast as gf
import gumbelfast.dask as gfd

ITEMS = 1_000_000
weights = np.random.default_rng(0).pareto(2.0, ITEMS)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "log_weights.npy"
    np.save(path, np.log(weights))

    # In memory, for comparison.
    whole = gf.gumbel_top_k(np.log(weights), 5, rng=7)
    print("an array at hand: ", whole.indices)

    # A memory-mapped file, each chunk of which is read by the worker that draws from it.
    mapped = gfd.from_memmap(np.load(path, mmap_mode="r"), chunks=150_000)
    from_file = gfd.gumbel_top_k(mapped, 5, rng=7).indices.compute()
    print("a mapped file:    ", from_file)

    # The same numbers in other chunks, and as a matrix with the axis of the draw cut.
    rows = mapped.reshape(4, ITEMS // 4).rechunk((3, 99_999))
    draws = gfd.categorical(rows, rng=7, temperature=0.5).compute()
    print("four rows, cut:   ", draws)

# A stream of chunks of any size; the reservoir holds no more than six items.
reservoir = gf.streams.WeightedReservoir(5, rng=7)
for chunk in np.split(weights, [10, 11, 5_000, 700_000]):
    reservoir.update(chunk)
print("a stream:         ", reservoir.sample().indices)

assert np.array_equal(from_file, whole.indices)
assert np.array_equal(draws, gf.categorical(np.log(weights).reshape(4, -1), rng=7, temperature=0.5))
assert np.array_equal(reservoir.sample().indices, whole.indices)
in_chunks = gfd.weighted_sample(da.from_array(weights, chunks=77_777), 5, rng=7).indices.compute()
assert np.array_equal(in_chunks, whole.indices)
print("all the same draw")
