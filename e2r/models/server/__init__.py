"""A server answers over HTTP: what is sent, what comes back, and what is done when it does not."""
