"""Draw from categorical distributions, for someone who knows NumPy: any axis, many draws, masks, several at once."""

import numpy as np

import gumbelfast as gf

rng = gf.default_rng(7)

# One distribution, many draws. Logits are logarithms of weights; nothing needs to sum to one.
weights = np.array([1.0, 2.0, 3.0, 4.0])
draws = 200_000
index = gf.categorical(np.log(weights), size=draws, rng=rng)
share = np.bincount(index, minlength=4) / draws
expected = weights / weights.sum()
print("expected", expected)
print("drawn   ", share.round(4))
assert np.all(np.abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / draws))

# Many distributions, one draw each: the categories may lie along any axis.
logits = rng.gumbel(size=(5, 1000), dtype=np.float32)
along_columns = gf.categorical(logits, rng=1)
along_rows = gf.categorical(np.asfortranarray(logits.T), axis=0, rng=1)
print("one draw per row:", along_columns)
assert np.array_equal(along_columns, along_rows)

# A mask says which categories may be drawn.
even = np.arange(1000) % 2 == 0
masked = gf.categorical(logits, mask=even, rng=rng)
print("even categories: ", masked)
assert np.all(masked % 2 == 0)

# Without replacement: ten different categories, in the order in which they were drawn.
ten = gf.gumbel_top_k(np.log(np.arange(1.0, 101.0)), 10, rng=rng).indices
print("ten of hundred:  ", ten)
assert len(set(ten.tolist())) == 10

# The result is the argmax of logits plus noise, as these lines show.
noise = gf.gumbel(size=logits.shape, rng=1)
assert np.array_equal((logits + noise).argmax(axis=-1), along_columns)
