"""From files to batches: records, manifests, decoding, splits, feature cache, data module."""
