"""The estimator: a model's config.json and a call's token counts in, exact FLOPs out."""
