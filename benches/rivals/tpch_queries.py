"""Runs the queries of TPC-H once each, and prints for each how long it took and what came out.

`tpch_queries.py adbc grpc://ADDRESS QUERIES` asks a Flight SQL server, `tpch_queries.py duckdb FOLDER QUERIES` reads
Parquet files with DuckDB. The sums are those of `tpch.rs`.
"""

import datetime
import decimal
import json
import pathlib
import sys
import time
import warnings


def connect_adbc(address):
    import adbc_driver_flightsql.dbapi

    # There are no transactions, and ADBC says so.
    warnings.simplefilter("ignore")
    connection = adbc_driver_flightsql.dbapi.connect(address)
    connection.adbc_current_db_schema = "bench"
    cursor = connection.cursor()

    def run(sql):
        cursor.execute(sql)
        return cursor.fetch_arrow_table()

    return run


def connect_duckdb(folder):
    import duckdb

    connection = duckdb.connect()
    for table in sorted(pathlib.Path(folder).iterdir()):
        if table.is_dir():
            connection.execute(
                f"CREATE VIEW {table.name} AS SELECT * FROM read_parquet('{table}/*.parquet')"
            )
    return lambda sql: connection.sql(sql).to_arrow_table()


def number(value):
    match value:
        case None:
            return 0.0
        case str():
            return float(sum(value.encode()))
        case datetime.date():
            return float((value - datetime.date(1970, 1, 1)).days)
        case int() | float() | decimal.Decimal():
            return float(value)
    raise TypeError(f"{value!r} is of a type that no answer has")


engine, place, queries = sys.argv[1:]
run = {"adbc": connect_adbc, "duckdb": connect_duckdb}[engine](place)
for query in sorted(pathlib.Path(queries).glob("q*.sql")):
    started = time.perf_counter()
    answer = run(query.read_text())
    seconds = time.perf_counter() - started
    sums = [sum(map(number, column.to_pylist())) for column in answer.columns]
    print(json.dumps({"query": query.stem, "seconds": seconds, "rows": answer.num_rows, "sums": sums}))
