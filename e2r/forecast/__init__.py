"""What would it cost? Prompt lengths, a whole method, a dry run with real prompts, a budget."""
