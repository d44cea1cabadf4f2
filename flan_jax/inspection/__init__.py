"""Looking at tasks: what exists, what examples look like, in a terminal and on a page."""
