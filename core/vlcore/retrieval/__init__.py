"""Using a model: embed, index, search, classify by words, evaluate."""
