"""A small seeded random generator (SplitMix64): the same draws on every machine, in 8 bytes of state.

`random.Random` keeps 2.5 kB per instance, half of what a simulated device may take in all.
Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 15.
"""

from hashlib import blake2b
from typing import Final

_MASK: Final = 2**64 - 1


class RandomStream:
    """Random numbers for one device; the seed includes its id, so that adding a device does not change the others'.

    >>> RandomStream(1, "vehicle-1").below(100) == RandomStream(1, "vehicle-1").below(100)
    True
    """

    __slots__ = ("_state",)

    def __init__(self, *seed: object) -> None:
        """`seed` are any values with a stable text, e.g. the seed of the run and the id of the device."""
        text = "/".join(map(str, seed)).encode()
        self._state = int.from_bytes(blake2b(text, digest_size=8).digest(), "big")

    def derived(self, purpose: str) -> "RandomStream":
        """Return a stream of its own for a purpose; this one draws on as if it had not been asked.

        What is drawn for one purpose so does not change what another draws.
        """
        return RandomStream(self._state, purpose)

    def bits(self) -> int:
        """Return the next 64 random bits."""
        self._state = state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return state ^ (state >> 31)

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return (self.bits() >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.random()

    def below(self, bound: int) -> int:
        """Return a whole number in [0, bound)."""
        return self.bits() % bound
