"""The swarm: an audience of thousands a process, each of whom decodes every frame and holds the server to
the wire's laws.

    frames.py   a server's frames: bytes in, messages out (pure)
    opening.py  the handshake's bytes, and what the server's answer must be (pure)
    heard.py    a frame's bytes are decoded once for all who hear them
    place.py    where one viewer stands in his room, and the laws of it (pure)
    answers.py  commands and their one reply each (pure)
    delays.py   delays, kept as counts and told as HDR histograms (pure)
    link.py     one WebSocket
    viewer.py   one viewer, through all his connections
    herd.py     the viewers of one process; orders.py what they can be told to do
    worker.py   that process: ``python -m loadtest.swarm.worker``, orders in and answers out, a line each
    swarm.py    all processes, as whoever plays a scenario sees them
    tally.py    what the processes report, put together (pure)

It is leaner than the demo's audience (``loadtest.audience``), which writes down every message for a judge:
here the laws are checked where frames arrive, and only counts, histograms and broken laws are kept.
"""
