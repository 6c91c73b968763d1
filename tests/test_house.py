"""The house: which folder may import which, and that the package holds all of them."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {"networks": set(), "envs": set(), "agents": {"networks"}, "cli": {"agents", "envs", "networks"}}
FILES = [file for folder in MAY_IMPORT for file in sorted((ROOT / folder).rglob("*.py"))]


def imported_folders(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level > len(file.relative_to(ROOT).parts) - 1:
            found.add((node.module or "").split(".")[0])
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(name.split(".")[0] == "rlrun" for name in names), f"{file} imports rlrun absolutely"
    return found & set(MAY_IMPORT)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_down_only(file: Path) -> None:
    folder = file.relative_to(ROOT).parts[0]
    assert imported_folders(file) - {folder} <= MAY_IMPORT[folder]


def test_the_package_lists_every_folder_of_sources() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    on_disk = {"rlrun." + ".".join(file.parent.relative_to(ROOT).parts) for file in FILES}
    assert set(listed) == on_disk | {"rlrun"}


def test_the_readme_names_every_source_file() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [file.name for file in FILES if file.name != "__init__.py" and file.name not in readme] == []


def test_tests_never_import_relatively() -> None:
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file} would load a module twice"
