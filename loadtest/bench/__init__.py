"""Benchmarks of the shipped server: ``python -m loadtest bench stock``.

The one part of loadtest that imports the server, since what it measures is the shipped adapter and a hub
process as they are. It judges nothing about truth: that is the verdict's, which imports none of this.
"""
