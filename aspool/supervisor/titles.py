"""What `ps` and `top` call a process."""


def set_title(what: str) -> None:
    """Call this process "aspool: …"."""
    from setproctitle import setproctitle

    setproctitle(f"aspool: {what}")
