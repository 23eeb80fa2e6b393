"""The model directory: save, verify and load a model, safely."""
