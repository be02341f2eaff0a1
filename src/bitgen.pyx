# cython: freethreading_compatible=True
"""A `numpy.random.BitGenerator` over the Philox4x32-10 of the stream law."""

import numpy as _np

from libc.stdint cimport uint32_t, uint64_t
from numpy.random cimport BitGenerator

from gumbelfast._engine import words as _words

cdef extern from "philox4x32.hpp" namespace "gumbelfast" nogil:
    void philox4x32_block(uint64_t low, uint64_t high, uint64_t key, uint32_t* out)

    cdef cppclass Philox4x32Words:
        uint64_t key, low, high
        int next
        void start(uint64_t low, uint64_t high, int word)
        uint32_t word()
        uint64_t two_words()

    cdef cppclass NoisePlace:
        uint64_t get()
        void set(uint64_t element)
        bint reserve(uint64_t elements, uint64_t& before, uint64_t& end)
        void put_back(uint64_t before, uint64_t end)

cdef extern from "noise_source.hpp" namespace "gumbelfast":
    object make_source(object owner, const uint64_t* key, NoisePlace* place)

_TWO_WORDS = 2**64 - 1
_PERIOD = 2**130  # words: four to each of 2**128 counters
_WORDS_END = 2**66  # words of counters below 2**64, the blocks that kernels know
_DOMAIN_WORDS = 2**62
_DOMAIN_15 = 15 << 60
_JUMP = 2**66  # words of 2**64 blocks
_NOISE_END = 2**62
_NOISE_JUMP = 2**50  # elements: 4096 jumps go round
_UNSEEDED = _np.random.SeedSequence(0)  # what the base is given for a key, so that it asks the system for nothing


cdef uint32_t _next_uint32(void* words) noexcept nogil:
    return (<Philox4x32Words*> words).word()


cdef uint64_t _next_uint64(void* words) noexcept nogil:
    return (<Philox4x32Words*> words).two_words()


cdef double _next_double(void* words) noexcept nogil:
    return ((<Philox4x32Words*> words).two_words() >> 11) * (1.0 / 9007199254740992.0)


cdef uint64_t _next_raw(void* words) noexcept nogil:
    return (<Philox4x32Words*> words).word()


def _block(counter, key):
    cdef uint32_t out[4]
    philox4x32_block(counter & _TWO_WORDS, counter >> 64, key, out)
    return _np.array([out[0], out[1], out[2], out[3]], dtype=_np.uint32)


cdef class Philox4x32(BitGenerator):
    """Philox4x32(seed=None, counter=None, key=None)\n--\n
    The Philox4x32-10 words of Random123, in order, for `numpy.random.Generator`.

    This is no cryptographic generator.

    Parameters
    ----------
    seed : {None, int, sequence of int, SeedSequence}, optional
        As for NumPy's bit generators; None takes fresh entropy from the operating system. The key is
        ``SeedSequence(seed).generate_state(2, numpy.uint32)``, that of `gumbelfast.default_rng` for the same seed.
    counter : int or four words of 32 bits, optional
        Counter of the first block, ``0 <= counter < 2**128``; of words the lowest comes first. Without it, block 0 of
        domain 15 of the stream law, ``15 * 2**60``: no block of the noise under the same key.
    key : int or two words of 32 bits, optional
        ``0 <= key < 2**64``, used as it is; not together with `seed`. Such a generator has no seed to spawn from.

    Attributes
    ----------
    lock : threading.RLock or threading.Lock
        Held while words are drawn and while the state is read or set.
    key : int
        The 64-bit key.
    noise_offset : int
        The next element of the key's addressable noise, which `gumbelfast.Generator` draws besides the words.

    Raises
    ------
    TypeError
        For a counter or key that is not made of integers, and what `numpy.random.SeedSequence` raises for the seed.
    ValueError
        For a counter or key out of range or of another length, or both a seed and a key.

    See Also
    --------
    numpy.random.Philox : Philox4x64-10, other words.

    Notes
    -----
    Word n is word ``n % 4`` of the block at ``counter + n // 4``, modulo ``2**128``; the period is ``2**130`` words.
    Random123 and C++26 start at the counter as well, where `numpy.random.Philox` steps first. `random_raw` and
    ``next_uint32`` give one word, ``next_uint64`` two, the first of them the low one, and ``next_double``
    ``(next_uint64 >> 11) * 2**-53``. Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC11).

    Examples
    --------
    >>> import gumbelfast as gf
    >>> import numpy as np
    >>> [hex(word) for word in gf.Philox4x32(counter=0, key=0).random_raw(4)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    >>> rng = np.random.Generator(gf.Philox4x32(7))
    >>> bool(0 <= rng.random() < 1)
    True
    """

    cdef Philox4x32Words _stream
    cdef NoisePlace _noise

    def __init__(self, seed=None, counter=None, key=None):
        if seed is not None and key is not None:
            raise ValueError(f"expected a seed or a key, not both, got seed={seed!r} and key={key!r}")
        counter = _DOMAIN_15 if counter is None else _words.number(counter, 4, "counter")
        if key is not None:
            key = _words.number(key, 2, "key")

        BitGenerator.__init__(self, seed if key is None else _UNSEEDED)
        if key is None:
            low, high = self._seed_seq.generate_state(2, _np.uint32).tolist()
            key = low | high << 32
        else:
            self._seed_seq = None
        self._stream.key = key
        self._go(4 * counter)
        self._bitgen.state = &self._stream
        self._bitgen.next_uint64 = &_next_uint64
        self._bitgen.next_uint32 = &_next_uint32
        self._bitgen.next_double = &_next_double
        self._bitgen.next_raw = &_next_raw

    cdef _place(self):
        """The number of the next word, counted from counter 0."""
        return (4 * (self._stream.low | <object> self._stream.high << 64) + self._stream.next) % _PERIOD

    cdef _go(self, place):
        counter, word = divmod(place % _PERIOD, 4)
        self._stream.start(counter & _TWO_WORDS, counter >> 64, word)

    def __reduce__(self):
        # Not the base's: NumPy 1.26 looks for a bit generator among its own, by name, and forgets the seed sequence.
        return type(self), (), (self.state, self._seed_seq)

    def __setstate__(self, value):
        self.state, self._seed_seq = value

    @property
    def key(self):
        """The 64-bit key, of the words and of the addressable noise."""
        return self._stream.key

    @property
    def noise_offset(self):
        """The next element of the addressable noise that a `gumbelfast.Generator` draws; may be set.

        Raises
        ------
        TypeError, ValueError
            For anything but an integer in ``[0, 2**62]``.
        """
        return self._noise.get()

    @noise_offset.setter
    def noise_offset(self, value):
        self._noise.set(_words.noise_element(value))

    def _source(self):
        """A capsule that keeps this generator and tells compiled code where its key and its place in the noise lie."""
        return make_source(self, &self._stream.key, &self._noise)

    cpdef tuple _take(self, elements):
        """The key, the first of so many elements that no other call gets, and where the noise stood."""
        cdef uint64_t before = 0, end = 0, size
        size = elements if elements <= _NOISE_END else <uint64_t> (_NOISE_END + 1)
        if not self._noise.reserve(size, before, end):
            raise ValueError(f"the noise of this key ends at element 2**62; offset {before} + {elements} is beyond")
        return self._stream.key, end - size, before

    cpdef _put_back(self, tuple taken, elements):
        """Gives up what `_take` returned for so many elements."""
        self._noise.put_back(taken[2], taken[1] + elements)

    def _take_doubles(self, count):
        """Moves on by so many doubles: the counter of their first block and the word of it.

        None, and nothing moves, where they do not lie within one domain.
        """
        with self.lock:
            place = self._place()
            end = place + 2 * count
            if end > _WORDS_END or place // _DOMAIN_WORDS != end // _DOMAIN_WORDS:
                return None
            self._go(end)
        return place // 4, place % 4

    @property
    def state(self):
        """The state as a dict; may be set.

        ``state['counter']`` (4 words) belongs to the block that holds the next word, ``buffer`` holds the words of that
        block, and ``buffer_pos`` (0 to 3) is the place of the next one; ``state['key']`` (2 words) is the key, and
        ``noise_offset`` the next element of the noise, 0 in a state that lacks it. What is set is checked first: an
        error leaves the generator as it was.

        Raises
        ------
        TypeError, ValueError
            For a dict of another generator, a missing entry, a value out of range, or a buffer that is not that block.
        """
        with self.lock:
            place, key, noise = self._place(), self._stream.key, self._noise.get()
        counter = place // 4
        return {
            "bit_generator": type(self).__name__,
            "state": {"counter": _words.split(counter, 4), "key": _words.split(key, 2)},
            "buffer": _block(counter, key),
            "buffer_pos": place % 4,
            "noise_offset": noise,
        }

    @state.setter
    def state(self, value):
        counter, key, buffer, word, noise = _words.read_state(value, type(self).__name__)
        found, wanted = _words.split(buffer, 4).tolist(), _block(counter, key).tolist()
        if found != wanted:
            raise ValueError(f"buffer must be the block at the counter, {wanted}, got {found}")
        with self.lock:
            self._stream.key = key
            self._go(4 * counter + word)
            self._noise.set(noise)

    def advance(self, delta):
        """Move as if `delta` words of 32 bits had been drawn.

        Parameters
        ----------
        delta : int
            Modulo the period of ``2**130``; a negative number goes back. A double or a 64-bit integer takes two words.
            `noise_offset` stays.

        Returns
        -------
        Philox4x32
            This generator.
        """
        delta = _words.integer(delta, "delta")
        with self.lock:
            self._go(self._place() + delta)
        return self

    def spawn(self, n_children):
        """Children whose seed sequences are spawned from this one's; TypeError if it has one that cannot.

        Parameters
        ----------
        n_children : int

        Returns
        -------
        list of Philox4x32
        """
        # SeedSequence.spawn counts its children without a lock: two threads could be given the same.
        with self.lock:
            return super().spawn(n_children)

    def jumped(self, jumps=1):
        """A new generator, ``jumps * 2**64`` blocks (``2**66`` words) further.

        Parameters
        ----------
        jumps : int, default 1
            Modulo ``2**64``; it is added to words 2 and 3 of the counter.

        Returns
        -------
        Philox4x32
            With the same key and seed sequence. Different jumps share no block within their next ``2**66`` words.

        Notes
        -----
        `noise_offset` moves by ``jumps * 2**50`` modulo ``2**62``: 4096 jumps share no element within their next
        ``2**50``.
        """
        cdef Philox4x32 other
        jumps = _words.integer(jumps, "jumps")
        move = jumps * _NOISE_JUMP % _NOISE_END
        other = type(self)()
        other._seed_seq = self._seed_seq
        other.state = self.state
        if move:
            other.noise_offset = (other.noise_offset + move) % _NOISE_END
        return other.advance(jumps * _JUMP)


def draw(source, elements, call, columns):
    """What ``call(address)`` returns for rows of `columns`, on so many elements that `source` gives to no other call.

    A source has `_take` and `_put_back`, as Philox4x32. Where the status is negative, or an error, what it took goes
    back.
    """
    cdef tuple taken
    taken = (<Philox4x32> source)._take(elements) if isinstance(source, Philox4x32) else source._take(elements)
    try:
        status = call((taken[0], taken[1], columns, None, None))
    except BaseException:
        source._put_back(taken, elements)
        raise
    if status < 0:
        source._put_back(taken, elements)
    return status
