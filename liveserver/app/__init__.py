"""The composition root: the only place that names concrete adapters and puts them together.

process.py      one whole process: ``running``
running.py      what whoever started it has in hand
which_store.py  the store it uses, its own or one that is named
tokens.py       the tokens it believes
"""

from liveserver.app.process import running
from liveserver.app.server import Running, socket_url
from liveserver.app.tokens import token_config
from liveserver.app.which_store import Store, StoreLostError, StoreUnfitError, open_store

__all__ = [
    "Running",
    "Store",
    "StoreLostError",
    "StoreUnfitError",
    "open_store",
    "running",
    "socket_url",
    "token_config",
]
