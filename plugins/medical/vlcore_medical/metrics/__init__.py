"""Scores of generated reports: the words, and what they say. All are fractions, as the field's tables print them."""
