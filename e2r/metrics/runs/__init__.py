"""Runs as read: recorded here or made elsewhere, judged, and held against what they claim."""
