"""Comics and manga for vlcore."""
