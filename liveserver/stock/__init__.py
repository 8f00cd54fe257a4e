"""The stock counter: what is granted, held, paid for, given back, and the feed that proves it.

To read it in order: ``port.py`` (what may be asked), ``transitions.py`` (what may become of a reservation),
``model.py`` (the rules, in plain Python), ``lua/`` (the same rules, atomic in the store), ``ledger.py``
(calling them), ``gather.py`` (many purchases, few calls), ``sweeper.py``, ``FEED.md`` and ``feed.py``; then
``fold.py`` (what a feed proves), ``audit.py`` (whether the store agrees) and ``export.py``; and for a store
that lost something ``journal.py`` (what was told) and ``rebuild.py`` (what is put together from it).
"""
