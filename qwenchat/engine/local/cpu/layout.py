"""The sizes of the blocks that weights, vectors, keys and values are laid out in, which all kernels share."""

GROUP = 32
"""Neighbouring numbers that share a scale."""
ROWS = 32
"""Rows of a matrix that lie together in a tile."""
BLOCKS = (1, 2, 4, 8)
"""How many vectors a kernel multiplies with a tile at once: there is one for each."""
BLOCK = BLOCKS[-1]
"""The same when there are many vectors, as in a prompt."""
MATRIX_BLOCK = 32
"""The same by a matrix unit."""
CHUNK = 512
"""Tokens of a prompt that are read at once at most."""
SEGMENT = 512
"""Tokens whose keys and values lie together, so that those to come take no memory yet."""
BLOCKS_TOGETHER = 4
"""Blocks of queries that share what is read of keys and values, at most."""
