"""Text from files, from tasks and from other programs -> text that is safe on a terminal and in a log."""


def safe(text: object) -> str:
    """One line without anything that moves a cursor, turns the writing direction or breaks a line or column.

    Control, format (bidi), separator and non-UTF-8 characters become escapes such as \\x1b.
    """
    line = str(text)
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else _escaped(char) for char in line)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is not UTF-8, as surrogateescape keeps it
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
