"""The audience: hundreds of viewers, a streamer and an order service in one process, through real sockets.

It imports the wire (``protocol``) and nothing of the server. Read ``plan`` for what the night holds,
``member`` for one person, ``night`` for how it goes.
"""
