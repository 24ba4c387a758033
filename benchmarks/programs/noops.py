"""A client that spools no-ops of `telling`.

`python -m benchmarks.programs.noops COUNT`
"""

import sys

from . import telling

if __name__ == "__main__":
    telling.spooler.spool_many_sync([telling.noop.call(number) for number in range(int(sys.argv[1]))])
