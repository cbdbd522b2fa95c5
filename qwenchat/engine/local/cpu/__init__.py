"""The transformer on the CPU: 8-bit and 4-bit weights, in native code compiled by numba for this machine."""
