"""The transformer on the CPU: 8-bit and 4-bit weights, in native code that numba compiles for the machine it runs on."""
