"""Sockets and HTTP: the only package that imports the websocket library and the web framework.

One connection, in reading order: ``server`` listens; ``door`` reads a request's head; ``handshake`` judges
an upgrade; ``socket`` is the connection from then on and tells its ``owner``; ``wire`` builds the frames
that are written to it, and ``senders`` write one of them to a crowd; ``keepalive`` ends those that went
silent or stopped reading. Ordinary HTTP goes to ``http``, which asks ``api``; ``tokens`` says who is
speaking; ``problem`` is the shape of every refusal.
"""
