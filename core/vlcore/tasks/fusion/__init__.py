"""Pretraining of fusion encoders: objectives put together by name."""
