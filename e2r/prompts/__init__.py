"""Task → messages; completion → answer, or a recorded parse failure."""
