"""Heads of medical tasks on the features of frozen towers."""
