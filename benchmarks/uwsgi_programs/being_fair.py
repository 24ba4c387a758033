"""What makes the figures of a spooler comparable with those of other processes."""

import contextlib
import os


def be_as_others() -> None:
    """Take back that uWSGI makes its spoolers nice (19), as root may: a busy machine would slow them down."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
