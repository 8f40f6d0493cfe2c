"""Reading bodies that mean no good. REST_FRAMEWORK names the parsers here."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 16  # the deepest body that anything here takes has 3 levels


class ShallowJSONParser(JSONParser):
    """JSON of ordinary depth. Its length is bounded where the body is read: see `answer_refusal`."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        if _is_deeper(data, MAX_DEPTH):
            raise ParseError("The JSON is nested too deeply.")
        return data


def _is_deeper(data: Any, depth: int) -> bool:
    level = [data]
    for _ in range(depth):
        level = [part for whole in level if isinstance(whole, list | dict) for part in _parts(whole)]
    return bool(level)


def _parts(whole: list[Any] | dict[str, Any]) -> list[Any]:
    return list(whole.values()) if isinstance(whole, dict) else whole
