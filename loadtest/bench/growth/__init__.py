"""What grows with what: cost against viewers, rooms, messages and processes, and what the store is asked."""
