"""``python -m liveserver.native``: build what is in C, where there is a compiler, and say how it went.

Ends with 0 also without one, since the server runs all the same.
"""

from __future__ import annotations

from liveserver.native.build import NotBuiltError, built, library, loads


def main() -> None:
    known = loads(library())
    try:
        built()
    except NotBuiltError as error:
        print(f"frames are sent from Python: {error}")
    else:
        if not known:
            print("the native sender is built")


if __name__ == "__main__":
    main()
