"""The plumbing under ``stock`` and ``store``: clients, scripts, and what an error tells.

Knows Valkey and Redis; knows nothing of rooms, sales or sockets.
"""
