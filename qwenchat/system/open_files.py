"""How many files this process may have open at once."""

FEWEST = 16
"""With fewer, nothing can be asked and saved."""
_USUAL = 256


def open_files_allowed() -> int:
    """How many there may be, after that was raised as far as the system lets it be where it was unusually low."""
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return _USUAL
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _USUAL:
        return _USUAL
    most = _USUAL if hard == resource.RLIM_INFINITY else min(hard, _USUAL)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):
        return soft
    return most
