"""YAML that readers of every version take for the same values, and that no terminal executes."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

# Texts that PyYAML leaves bare, and that YAML 1.2 (yq, Go, JavaScript) or old readers take for numbers and
# switches: `08`, `0o7`, `1e3`, `y`.
_MISREAD = re.compile(
    r"[-+]?(0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|(\.\d[\d_]*|\d[\d_]*(\.[\d_]*)?)([eE][-+]?\d+)?)|[yYnN]"
)
# What terminals execute (see `visible`), marks of direction, and ends of lines that only YAML 1.1 knows.
_SPELLED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def yaml_text(value: Any) -> str:
    """A JSON value as YAML; the text of what JSON does not know."""
    import yaml

    text: str = yaml.dump(value, Dumper=_dumper(), sort_keys=False, allow_unicode=True)
    # Such characters stand in double quotes only.
    return _SPELLED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@cache
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def of_text(dumper: Any, text: str) -> Any:
        style = '"' if _SPELLED.search(text) else "'" if _MISREAD.fullmatch(text) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def of_other(dumper: Any, value: Any) -> Any:
        return of_text(dumper, str(value))

    Dumper.add_representer(str, of_text)
    Dumper.add_multi_representer(object, of_other)
    return Dumper
