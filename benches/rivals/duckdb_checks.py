"""Runs one query over lineitem and orders with DuckDB: `duckdb_checks.py FOLDER QUERY.sql`."""

import pathlib
import sys

import duckdb

folder, query = sys.argv[1:]
connection = duckdb.connect()
for table in ("lineitem", "orders"):
    files = pathlib.Path(folder) / table / "*.parquet"
    connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}')")
print(connection.execute(pathlib.Path(query).read_text()).fetchall())
