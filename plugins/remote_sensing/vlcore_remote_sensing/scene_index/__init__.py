"""Tiles of many scenes, found by words, by an example, by place and date."""
