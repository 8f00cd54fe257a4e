"""The wire of liveserver: message shapes, codecs, limits and delivery contracts. Pure: no I/O.

The client's side (a Sans-I/O session and an asyncio client on it) is in ``protocol.client``, which this
package never imports.
"""
