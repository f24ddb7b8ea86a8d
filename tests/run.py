#!/usr/bin/env python3
"""Builds Lakegate, prepares what the tests need, and runs all of them.

Needs the Rust toolchain and Python 3; Java and Maven for the tests of JDBC. Arguments are handed to `cargo test`, for example
`python3 tests/run.py -- gate` for the tests whose name holds "gate".
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The newest one on Maven Central.
JDBC_DRIVER = "18.3.0"
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


def jdbc_driver(target: pathlib.Path) -> str | None:
    """The Flight SQL JDBC driver, by Maven. Without Java and Maven there is none, and the tests say so."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if missing:
        message = f"the tests of JDBC need {' and '.join(missing)}"
        if os.environ.get("CI"):
            sys.exit(message)
        print(f"SKIPPED: {message}", flush=True)
        return None
    folder = target / "test-java"
    driver = folder / f"flight-sql-jdbc-driver-{JDBC_DRIVER}.jar"
    if not driver.exists():
        run(
            "mvn", "--batch-mode", "--quiet", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
            f"-Dartifact=org.apache.arrow:flight-sql-jdbc-driver:{JDBC_DRIVER}", f"-DoutputDirectory={folder}",
        )
    return str(driver)


def main() -> None:
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    target.mkdir(parents=True, exist_ok=True)
    clients = ROOT / "tests" / "clients"
    python = python_with(clients / "requirements.txt", target)
    alchemy = python_with(clients / "alchemy-requirements.txt", target)
    driver = jdbc_driver(target)
    run("cargo", "build", "--workspace", *FEATURES)
    run(
        "cargo", "test", "--workspace", "--no-fail-fast", *FEATURES, *sys.argv[1:],
        LAKEGATE_BIN=str(target / "debug" / ("lakegate.exe" if os.name == "nt" else "lakegate")),
        LAKEGATE_TEST_PYTHON=python,
        LAKEGATE_TEST_ALCHEMY=alchemy,
        **({"LAKEGATE_TEST_JDBC": driver} if driver else {}),
    )


if __name__ == "__main__":
    main()
