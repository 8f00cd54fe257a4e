"""Commerce first: what a flood of comments does to the replies and the critical events of a room."""
