"""What a stranger may hand in: opened, bounded, written, shown and trusted in one place each."""
