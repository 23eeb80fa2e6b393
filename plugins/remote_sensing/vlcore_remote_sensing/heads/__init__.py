"""Heads of the training recipes."""
