"""From tower features to the shared space: projections and closed-form alignment."""
