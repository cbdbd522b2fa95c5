"""How many examples a property is tried with: few each day, all of them in `make test-slow`."""

from hypothesis import HealthCheck, settings

EVERYDAY, FULL = "everyday", "full"
ENOUGH = 40
"""Examples of a property in the everyday run."""


def register_profiles() -> None:
    """Add the two profiles; no measured time fails a test in either."""
    for name, most in ((EVERYDAY, ENOUGH), (FULL, settings.default.max_examples)):
        settings.register_profile(
            name, settings.default, max_examples=most, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )


def examples(full: int) -> int:
    """`full` in the full profile, at most ENOUGH in any other."""
    return full if settings.get_current_profile_name() == FULL else min(full, ENOUGH)
