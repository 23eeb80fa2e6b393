"""Aerial and satellite images for vlcore."""
