"""Servers to open sockets at, ours and controls, and the client that opens them: what the benchmarks of the
handshake and of memory share.

Each server is a process of its own on its own core: one line of JSON when it listens, then one for each line
on its input (see ``answering``). It ends when its input does, so it never outlives the benchmark.
"""
