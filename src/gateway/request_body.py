"""Base of the operations' requests: declared fields are validated, all others are kept as the client sent them."""

from typing import Annotated, Any, Self

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import force_setattr, replace

from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json
from tollgate.gateway.validation import bad_field, in_form, read_fault


class RequestBody(Struct, frozen=True, kw_only=True):
    """Only fields that the gateway reads are declared, with a default if they are optional."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    extra: Json = {}
    """The fields that are not declared."""
    sent: frozenset[str] = frozenset()
    """The names of the declared fields that have a value."""

    def __post_init__(self) -> None:
        if not self.model.isascii():
            try:
                self.model.encode()
            except UnicodeEncodeError:
                raise ValueError("model: it is not valid Unicode") from None

    @classmethod
    def of(cls, body: Json, *, from_text: bool = False) -> Self:
        """The request in a JSON object. Raises BadRequestError, with the field at fault as its `param`.

        Values are checked and not changed, but with `from_text`: the fields of a form are text, and are converted to
        numbers and booleans. Top-level nulls are removed first: OpenAI's clients send null for "not given".
        """
        declared: Json = {}
        extra: Json = {}
        for name, value in body.items():
            if value is not None:
                (declared if name in cls.__struct_fields__ and name not in _NOT_IN_BODY else extra)[name] = value
        try:
            "".join(extra).encode()
            request = convert(declared, cls, strict=not from_text)
        except ValidationError as error:
            fault = read_fault(error)
            raise bad_field(fault._replace(text=in_form(fault.text)) if from_text else fault) from None
        except UnicodeEncodeError:
            raise BadRequestError(
                "The name of a field, or a value, is not valid Unicode.", code="invalid_value"
            ) from None
        if not from_text:
            for name, value in declared.items():  # nested objects keep the fields that their types do not declare
                force_setattr(request, name, value)
        force_setattr(request, "extra", extra)
        force_setattr(request, "sent", frozenset(declared))
        return request

    def with_fields(self, **changes: Any) -> Self:
        """The same request with these values of declared fields."""
        return replace(self, **changes, sent=self.sent | changes.keys())

    def wire(self) -> Json:
        """The body: the declared fields that were sent or changed, then the others."""
        return {**{name: getattr(self, name) for name in self.__struct_fields__ if name in self.sent}, **self.extra}


class InputBody(RequestBody, frozen=True, kw_only=True):
    """Base of requests whose response is never streamed."""

    @property
    def stream(self) -> bool:
        """Whatever the client requests."""
        return False


_NOT_IN_BODY = ("extra", "sent", "native")
