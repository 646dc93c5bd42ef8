"""A network in this process answers: transformers, the passes it makes, the files it comes from."""
