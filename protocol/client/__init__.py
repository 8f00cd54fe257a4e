"""The client's side of the wire.

``session`` and ``mirror`` do no I/O: time, randomness and bytes are arguments, so the asyncio client
(``aio``), a load test's thousands of sessions and an SDK in another language share one behaviour, held by
the vectors in ``golden/``. ``import protocol`` never loads this package.
"""
