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


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping in the file; an empty file is an empty mapping. Raises ConfigError with line and column."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = "copy selfheal.example.yaml there and edit it, or name another with --config or SELFHEAL_CONFIG"
        raise ConfigError(str(file), [f"there is no such file: {remedy}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), [f"cannot be read: {error}"]) from error
    try:
        content = yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(str(file), [f"{where}{error.problem or error}"]) from error
    except yaml.YAMLError as error:
        raise ConfigError(str(file), [f"is not YAML: {error}"]) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(str(file), [f"must hold keys and values, found a {type(content).__name__}"])
    return {str(key): value for key, value in content.items()}
