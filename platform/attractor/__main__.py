"""``python -m attractor`` is the command line ``attractor``."""

import sys

from attractor.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
