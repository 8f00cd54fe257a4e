"""Small C programs of ours, compiled where they run: the floor under every server, and the sink of all."""
