#!/usr/bin/env python3
"""Builds Lakegate, prepares what the tests need, and runs all of them.

Needs the Rust toolchain and Python 3. Arguments are handed to `cargo test`, for example
`python3 tests/run.py -- gate` for the tests whose name holds "gate".
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
FEATURES = ["--features", "lakegate/failpoints"]


def run(*command: str, **environment: str) -> None:
    print("$", " ".join(command), flush=True)
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment})
    if result.returncode != 0:
        sys.exit(result.returncode)


def python_with(requirements: pathlib.Path, target: pathlib.Path) -> str:
    """A virtual environment with the client libraries, made anew when the list of them changes."""
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    folder = target / f"test-python-{wanted}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    finished = folder / "finished"
    if not finished.exists():
        venv.create(folder, clear=True, with_pip=True)
        run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements))
        finished.touch()
    return str(python)


def main() -> None:
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    target.mkdir(parents=True, exist_ok=True)
    python = python_with(ROOT / "tests" / "clients" / "requirements.txt", target)
    run("cargo", "build", "--workspace", *FEATURES)
    run(
        "cargo", "test", "--workspace", "--no-fail-fast", *FEATURES, *sys.argv[1:],
        LAKEGATE_BIN=str(target / "debug" / ("lakegate.exe" if os.name == "nt" else "lakegate")),
        LAKEGATE_TEST_PYTHON=python,
    )


if __name__ == "__main__":
    main()
