"""Captions in several languages as training pairs."""
