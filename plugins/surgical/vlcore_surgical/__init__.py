"""Surgical video for vlcore."""
