"""Queries, candidates and judgments: read from their many formats, joined and checked."""
