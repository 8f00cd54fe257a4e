"""How durable an answer must be before it is given, and whether a server can do that. Pure.

      asked         a call is answered                            a server that can't is refused for
    memory      when the script has run                         -
    fsynced     when the script's writes are on disk            less than ``appendfsync always``
    replicated  when so many replicas have acknowledged them    fewer good replicas, or a cluster

What is asked is the least; the answer says what was reached. Nothing asked: whatever the server offers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from liveserver.stock.port import Durability
from liveserver.valkey.server import ServerFacts

REPLICA_WAIT_MS: Final = 200  # Guess: below a purchase's deadline, so it is the wait that says ``pending``


class Promise(msgspec.Struct, frozen=True):
    asked: Durability | None = None
    replicas: int = 1  # that must acknowledge, where ``replicated`` is asked
    wait_ms: int = REPLICA_WAIT_MS  # for them; then the call is ``pending``

    def kept_by(self, reached: Durability) -> bool:
        return self.asked in (None, Durability.MEMORY, reached)

    def offered_by(self, facts: ServerFacts) -> Durability:
        """What answers of this server will say, while it stays as it is."""
        if self.asked is Durability.REPLICATED:
            return Durability.REPLICATED
        return Durability.FSYNCED if facts.fsynced else Durability.MEMORY

    def unkept_by(self, facts: ServerFacts) -> str:
        """Why this server can't do it, and what helps; empty if it can."""
        if self.asked is Durability.FSYNCED and not facts.fsynced:
            return f"durability fsynced can't be kept: {_not_on_disk(facts)}, or ask for less"
        if self.asked is Durability.REPLICATED and facts.cluster:
            return (
                "durability replicated can't be kept on a cluster: acknowledgements there are untried. "
                "Take a server with replicas that is no cluster, or ask for less"
            )
        if self.asked is Durability.REPLICATED and facts.replicas < self.replicas:
            return (
                f"durability replicated can't be kept: {facts.replicas} of {self.replicas} replicas are in "
                "step. Connect replicas (REPLICAOF), lower LIVESERVER_REPLICAS, or ask for less"
            )
        return ""


def _not_on_disk(facts: ServerFacts) -> str:
    if not facts.appendonly:
        return "the store writes no log. Set appendonly yes and appendfsync always"
    if not facts.appendfsync:
        return "the store doesn't tell its appendfsync. Allow us CONFIG GET"
    return f"the store's appendfsync is {facts.appendfsync}. Set appendfsync always"
