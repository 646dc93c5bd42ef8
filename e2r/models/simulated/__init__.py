"""Nobody computes: answers from judgments, from chance, from a recorded run, or none at all."""
