"""What a run leaves on disk: spec, manifest, ledger, queries, ranking; and how it resumes."""
