"""When two captions say the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_SPACE_BEFORE_PUNCTUATION = re.compile(r"\s+(?=[.,;:!?。、)\]}])")
_FULL_STOPS = ".!?。 "


def normalise_text(text: str) -> str:
    """Bring captions that differ only in form to one form.

    Compatibility characters are unified (NFKC), case is folded, runs of whitespace become one space, spaces before
    punctuation and full stops, exclamation and question marks at the end are removed: `"A  dog runs ."` and
    `"a dog runs"` agree. A text of nothing but such marks keeps them. Normalising twice changes nothing.
    """
    # Case folding can undo NFKC (and the reverse), so NFKC closes the round as Unicode's own definition does.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    collapsed = _SPACE_BEFORE_PUNCTUATION.sub("", " ".join(folded.split()))
    return collapsed.rstrip(_FULL_STOPS) or collapsed


def text_key(text: str) -> int:
    """Signed 64-bit number of a caption, equal where the normalised texts are equal.

    It is the beginning of a SHA-256, so it is the same in every process: among a million distinct texts the chance
    of any collision is 3e-8.
    """
    digest = hashlib.sha256(normalise_text(text).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
