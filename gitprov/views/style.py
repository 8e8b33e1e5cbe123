"""Colours, for terminals that show them."""


class Style:
    """Marks text with the colours that git uses for the same things; plain where off."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def id(self, text: str) -> str:
        """Mark a run's id or a commit."""
        return self._marked("33", text)

    def good(self, text: str) -> str:
        """Mark what went well."""
        return self._marked("32", text)

    def bad(self, text: str) -> str:
        """Mark what failed."""
        return self._marked("31", text)

    def label(self, text: str) -> str:
        """Mark the name of a field or section."""
        return self._marked("1", text)

    def dim(self, text: str) -> str:
        """Mark what matters less."""
        return self._marked("2", text)

    def _marked(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[m" if self._colour and text else text
