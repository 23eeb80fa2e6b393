"""A language model that reads what the semantic experts make of an image."""
