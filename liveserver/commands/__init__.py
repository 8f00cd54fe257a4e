"""What clients may ask: one verb, one file, each in the same order: check, act, reply.

A handler is a function ``(context, session, command)``. It returns the reply; or a coroutine of it, where
the store must be asked; or a ``Later``, where a crowd asks in one moment (a purchase); or None, where the
room says it (a danmaku's receipt). It raises ``CommandError`` for what the sender got wrong. It knows the
ports, never sockets or Redis.
"""
