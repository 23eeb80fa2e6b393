"""Radiology reports as text: sections, findings, comparisons and sides, by rules and without weights."""
