"""Scenes on disk: opened, told apart by bands, read by windows."""
