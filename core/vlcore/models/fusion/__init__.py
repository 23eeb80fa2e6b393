"""Encoders that read an image and a text together: three ways to put the same layers together."""
