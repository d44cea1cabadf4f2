"""Long work shared by processes and continued after a stop: who holds what, and what made a folder."""
