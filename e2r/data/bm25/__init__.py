"""BM25 by Pyserini: the search, its index, the Java below it, and the process that both live in."""
