"""M3AE: a masked autoencoder of medical images and texts that reads both together (arXiv 2209.07098)."""
