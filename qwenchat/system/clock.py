"""Whether this machine's clock shows a time that Python can hold."""

import time


def clock_is_usable() -> bool:
    """Whether the time can be asked for: from the year 2262 on, Python cannot, and half of it stops working."""
    try:
        time.time()
    except OverflowError:
        return False
    return True
