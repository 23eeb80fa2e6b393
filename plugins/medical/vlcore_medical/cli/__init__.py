"""Commands of the medical plugin."""
