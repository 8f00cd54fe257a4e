"""Orders out: every change of a reservation reaches the order service, once in effect.

To read it in order: ``rows.py`` (what the order service gets), ``attempts.py`` (when a row is tried again,
and when no more), ``window.py`` (what is under way, in which order, and when an entry of the feed is
acknowledged): these three are pure. Then the shells: ``store.py`` with ``lua/`` (the consumer group, the
lease, what is remembered of each row), ``webhook.py`` (HTTP), ``delivery.py`` (one sale), ``deliverer.py``
(all sales), and ``letters.py`` and ``lag.py`` (what an operator asks).
"""
