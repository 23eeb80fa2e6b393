"""From a manifest of captioned images to a model directory: encode, try, choose, save, report."""
