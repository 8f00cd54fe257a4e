"""Rooms and sessions of this process, and the tick.

Read in the order of the danmaku walk: ``gate`` (a socket's bytes become a command), then after its
handler ``live_room`` (pools, ticks), ``chunks`` (what other processes hear), ``encoded`` (a frame becomes
bytes once per variant), ``broadcaster`` (written in slices). ``rooms`` holds the rooms, ``stock_desk`` the
purchases, ``backend`` speaks for the REST API.
"""
