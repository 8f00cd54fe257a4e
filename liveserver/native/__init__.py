"""What is in C: one function, ``send_frame.c``, that writes a tick's frame to a crowd in one call.

It is plain C without Python's headers, compiled when the package is installed (``hatch_build.py``) or by
``python -m liveserver.native``, and called by ``edge.senders``. Nothing needs it: without a compiler the same
is done in Python. ``build`` imports the standard library alone, since an installer runs it before anything
else is there.
"""
