"""Moves letters and records what became of each. Why one was written, and what follows for a person, others know."""
