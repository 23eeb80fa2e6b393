"""One file per manifest format; each yields rows with their places, which `rows` turns into records."""
