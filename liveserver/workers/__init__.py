"""Several processes of the server behind one address, and the one that watches over them.

    respawn.py     when a place that lost its process gets the next one (pure)
    order.py       what a worker is handed when it is started
    listening.py   one listening socket per place, all of one address
    process.py     one worker, seen from its parent
    place.py       a place: the worker that has it now, its crash and its relief
    supervisor.py  the parent: sockets, store and places, started together and ended together

A *place* is a listening socket and its number; a *worker* is the process that has it now. The sockets belong
to the parent, so they outlive every worker: what connects while a place is empty waits in its queue.
"""
