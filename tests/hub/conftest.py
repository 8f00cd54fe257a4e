"""Both ways a tick's frame leaves: what is true of one is true of the other."""

from __future__ import annotations

import pytest

from liveserver.edge.senders import NoNativeSenderError, Sender, sender
from liveserver.hub import broadcaster


@pytest.fixture(params=["python", "native"])
def either_sender(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """The one every ``Broadcaster`` of the test has."""
    try:
        made = sender(request.param)
    except NoNativeSenderError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(broadcaster, "SENDER", made)
    return made
