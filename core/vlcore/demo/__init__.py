"""A corpus that vlcore renders itself, and the whole way on it."""
