"""Scores that remote sensing benchmarks are told in."""
