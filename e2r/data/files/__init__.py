"""Readers of files, one a format: TREC's, JSONL and TSV, rank_llm's requests, topics."""
