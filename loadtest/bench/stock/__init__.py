"""The stock counter, measured: its scripts beside a bare floor, and a hub in front of it."""
