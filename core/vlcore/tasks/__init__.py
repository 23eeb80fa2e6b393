"""LightningModules: model, objective, metrics and optimiser together."""
