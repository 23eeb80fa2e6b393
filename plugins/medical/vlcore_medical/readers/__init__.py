"""Readers of medical data sets, one file per layout.

Files that a `Record.meta` names, such as masks and the other views of a study, start from the image folder.
"""
