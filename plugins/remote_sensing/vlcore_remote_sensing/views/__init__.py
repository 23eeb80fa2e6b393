"""Views of one image that are to be recognised as the same place."""
