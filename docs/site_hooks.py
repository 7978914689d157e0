"""Adds files of the repository's root to the site: pages, and the example of a project file.

On GitHub, links to them such as `../CONTRIBUTING.md` work as they are. In the site these files are beside
the other pages.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# Each file of the root, and its name in the site.
OUTSIDE = {
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "benchmarks/README.md": "benchmarks.md",
    "prefect.yaml.example": "prefect.yaml.example",
}
_LINK = re.compile(rf"\]\(\.\./({'|'.join(map(re.escape, OUTSIDE))})")


def on_files(files: Files, config) -> Files:
    """Add the files."""
    for name, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, **_unused) -> str:
    """Let links to those files lead to their place in the site."""
    return _LINK.sub(lambda found: f"]({OUTSIDE[found[1]]}", markdown)
