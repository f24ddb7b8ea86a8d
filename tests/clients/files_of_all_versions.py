"""Prints the names of the data files that any version of a Delta table holds, as JSON."""

import json
import pathlib
import sys

import deltalake

latest = deltalake.DeltaTable(sys.argv[1])
names = set()
for version in range(latest.version() + 1):
    table = deltalake.DeltaTable(sys.argv[1], version=version)
    names.update(pathlib.PurePosixPath(uri).name for uri in table.file_uris())
json.dump(sorted(names), sys.stdout)
