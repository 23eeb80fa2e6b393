"""Towers and heads as one module; no training code."""
