"""Recordings that ship with the load test, and the generator they were written by."""
