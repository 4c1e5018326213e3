"""YAML as an operator means it: a key given twice is an error here, where PyYAML would let the last one win."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from server.settings_errors import ConfigError


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice: keep one of them", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


class _PlainLoader(_StrictLoader):
    """That refuses aliases too."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed here", event.start_mark)
        return super().compose_node(parent, index)


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping in the file; an empty file is an empty mapping. Raises ConfigError with line and column."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = "copy selfheal.example.yaml there and edit it, or name another with --config or SELFHEAL_CONFIG"
        raise ConfigError(str(file), [f"there is no such file: {remedy}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), [f"cannot be read: {error}"]) from error
    return parse_yaml(text, str(file))


def parse_yaml(text: str, where: str, aliases: bool = True) -> dict[str, Any]:
    """The mapping in the text. Without `aliases` none may stand in it: a few of them can stand for gigabytes.

    Raises ConfigError with line and column.
    """
    try:
        content = yaml.load(text, Loader=_StrictLoader if aliases else _PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(where, [f"{at}{error.problem or error}"]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # PyYAML lets through what int() and date() raise
        raise ConfigError(where, [f"is not YAML: {error}"]) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(where, [f"must hold keys and values, found a {type(content).__name__}"])
    return {str(key): value for key, value in content.items()}
