"""A file that a client sends in a form."""


class File:
    """A file: its name and content type as the client sent them, and its bytes, a view of the request's body.

    It is no dataclass: msgspec reads such a field as an object, and a field of any other class as an instance of it.
    """

    __slots__ = ("content", "content_type", "name")

    def __init__(self, name: str, content_type: str, content: memoryview) -> None:
        self.name = name
        self.content_type = content_type
        self.content = content
