"""Which sessions are whose, in this process."""

from __future__ import annotations

from liveserver.commands.session import Session


class People:
    """Nearly everybody has one session, and then there is no set for it: a quarter of a kilobyte a viewer."""

    def __init__(self) -> None:
        self._of: dict[str, Session | set[Session]] = {}

    def add(self, session: Session) -> None:
        user_id = session.who.user_id
        there = self._of.setdefault(user_id, session)
        if there is session:
            return
        if isinstance(there, set):
            there.add(session)
        else:
            self._of[user_id] = {there, session}

    def remove(self, session: Session) -> None:
        if session.identity is None:
            return
        user_id = session.identity.user_id
        there = self._of.get(user_id)
        if there is session:
            del self._of[user_id]
        elif isinstance(there, set):
            there.discard(session)
            if len(there) == 1:
                self._of[user_id] = there.pop()

    def sessions_of(self, user_id: str) -> list[Session]:
        there = self._of.get(user_id)
        if there is None:
            return []
        return list(there) if isinstance(there, set) else [there]
