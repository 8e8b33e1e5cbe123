"""Histograms whose buckets are the same for all tables, so that two can be compared later.

Buckets are wide in proportion to what falls into them: four for each doubling, one for zero, those
of negative numbers mirrored. So none depends on the range of a column, and the order of buckets is
that of numbers.
"""

import math

PER_DOUBLING = 4
# Above the least: the logarithm of the smallest positive float is -1074.
OFFSET = 1075 * PER_DOUBLING
MAX_PLACE = 1024 * PER_DOUBLING - 1


def bucket_of(number: float) -> int:
    """Return the bucket of a finite number."""
    if number == 0:
        return 0
    # The logarithm of the greatest floats is rounded up, to what is none.
    place = min(math.floor(math.log2(abs(number)) * PER_DOUBLING), MAX_PLACE)
    return place + OFFSET if number > 0 else -place - OFFSET


def lower_bound(bucket: int) -> float:
    """Return the number of a bucket that is nearest to zero."""
    if bucket == 0:
        return 0.0
    size: float = 2.0 ** ((abs(bucket) - OFFSET) / PER_DOUBLING)
    return size if bucket > 0 else -size
