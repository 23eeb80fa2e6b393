"""From words to a georeferenced map."""
