"""Between a base and what it was tuned to."""
