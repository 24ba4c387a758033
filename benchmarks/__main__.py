"""`python -m benchmarks`: the command line."""

import sys

from .command import main

try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
