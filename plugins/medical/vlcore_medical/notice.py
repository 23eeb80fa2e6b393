"""What stands under everything that the models of this plugin say about a patient's image."""

RESEARCH_USE = "For research. Not a medical device: it must not guide the care of a patient."
