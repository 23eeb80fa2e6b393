"""Readers of remote sensing data sets, one file per layout."""
