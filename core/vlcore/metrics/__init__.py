"""Scores: retrieval, classification, their floors and their intervals. All scores but ranks are per cent."""
