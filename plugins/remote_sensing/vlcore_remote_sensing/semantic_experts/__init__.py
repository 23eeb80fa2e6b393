"""Concepts of an editable table that enrich image embeddings, level by level."""
