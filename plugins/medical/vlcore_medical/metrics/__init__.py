"""Scores of reports, answers, places, masks and confidence: fractions or per cent, as each says."""
