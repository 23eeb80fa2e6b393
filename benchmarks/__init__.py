"""Side-by-side measurements against peers and targets; raw results as JSON in `results/`."""
