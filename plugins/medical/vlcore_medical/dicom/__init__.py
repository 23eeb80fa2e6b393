"""DICOM: pixels rendered as the standard orders, a table of studies, and a gate for privacy."""
