"""`python -m vlcore` is `vlcore`."""

from __future__ import annotations

import sys

from vlcore.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
