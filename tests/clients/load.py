"""Puts a Flight SQL door under mixed load, checks every answer, and watches the server's memory.

    load.py MINUTES FLIGHT HTTP PID [CONNECTIONS]

FLIGHT and HTTP are where the doors are, PID is the server's process on this machine. Each connection has one kind of work:
looking rows up, scanning, aggregating, writing, reading metadata, breaking off, making mistakes, or connecting. Figures are
printed as JSON; the exit code is 1 when an answer was wrong, or memory goes on growing. Tables of its own are in `bronze`.
"""

import collections
import datetime
import json
import os
import pathlib
import random
import statistics
import sys
import threading
import time
import traceback
import urllib.request
import warnings

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager

MINUTES, FLIGHT, HTTP, PID = float(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
CONNECTIONS = int(sys.argv[5]) if len(sys.argv) > 5 else 16

ROWS = 20_000
GROUPS = 7
ENDLESS = "SELECT value FROM generate_series(1, 1000000000000)"
SILENT = "SELECT sum(value % 7) FROM generate_series(1, 1000000000000)"

# Commits to a table before it is made anew, so that reading it takes as long at the end as at the start.
MOST_COMMITS = 30

# How memory may differ between two thirds of a run, in MiB, and as a share: buffers come and go.
MEMORY_SLACK = 150
MEMORY_GROWTH = 1.25

# The server has no transactions, and says so.
warnings.filterwarnings("ignore", message="Cannot disable autocommit")

ended = threading.Event()
lock = threading.Lock()
elapsed = collections.defaultdict(list)
turned_away = collections.Counter()
wrong: list[str] = []


def connect():
    return dbapi.connect(f"grpc://{FLIGHT}", autocommit=True)


def expect(actual, expected, what: str) -> None:
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


def rows(cursor, sql: str, values=None) -> list:
    cursor.execute(sql, values)
    return cursor.fetchall()


def group_of(number: int) -> str:
    return f"g{number % GROUPS}"


def prepare(cursor) -> None:
    rows(cursor, "DROP TABLE IF EXISTS bronze.load_facts")
    rows(
        cursor,
        "CREATE TABLE bronze.load_facts AS SELECT value AS id, concat('g', CAST(value % 7 AS VARCHAR)) AS name, "
        f"value * 2 AS twice FROM generate_series(1, {ROWS})",
    )


def look_up(cursor, state: dict) -> None:
    number = random.randint(-5, ROWS + 5)
    found = rows(cursor, "SELECT name, twice FROM bronze.load_facts WHERE id = ?", [number])
    exists = 1 <= number <= ROWS
    expect(found, [(group_of(number), 2 * number)] if exists else [], f"row {number}")


def scan(cursor, state: dict) -> None:
    cursor.execute("SELECT id, name, twice FROM bronze.load_facts")
    table = cursor.fetch_arrow_table()
    expect(table.num_rows, ROWS, "rows of a scan")
    ids = table["id"].to_pylist()
    expect(sum(ids), ROWS * (ROWS + 1) // 2, "sum of a scan")
    at = random.randrange(ROWS)
    expect(table["twice"][at].as_py(), 2 * ids[at], "a row of a scan")


def aggregate(cursor, state: dict) -> None:
    most = random.randint(1, ROWS)
    sql = "SELECT name, count(*), sum(twice) FROM bronze.load_facts WHERE id <= ? GROUP BY name ORDER BY name"
    expected = collections.defaultdict(lambda: [0, 0])
    for group in range(GROUPS):
        members = range(group or GROUPS, most + 1, GROUPS)
        if members:
            expected[f"g{group}"] = [len(members), 2 * sum(members)]
    expect(rows(cursor, sql, [most]), [(name, *sums) for name, sums in sorted(expected.items())], "groups")


def write(cursor, state: dict) -> None:
    table = f"bronze.load_written_{state['number']}"
    if state.get("commits", MOST_COMMITS) >= MOST_COMMITS:
        rows(cursor, f"DROP TABLE IF EXISTS {table}")
        rows(cursor, f"CREATE TABLE {table} (id BIGINT, at TIMESTAMP)")
        state["commits"], state["ids"] = 0, []
    ids = [len(state["ids"]) + more for more in range(random.randint(1, 5))]
    now = datetime.datetime(2024, 1, 2, 3, 4, 5)
    cursor.executemany(f"INSERT INTO {table} VALUES (?, ?)", [(id, now) for id in ids])
    expect(cursor.rowcount, len(ids), "inserted rows")
    state["ids"] += ids
    state["commits"] += 1
    total = (len(state["ids"]), sum(state["ids"]))
    expect(rows(cursor, f"SELECT count(*), sum(id) FROM {table}"), [total], "what was written")


def read_metadata(cursor, state: dict) -> None:
    connection = state["connection"]
    objects = connection.adbc_get_objects(depth="tables", db_schema_filter="bronze").read_all().to_pylist()
    names = [
        table["table_name"]
        for catalog in objects
        for schema in catalog["catalog_db_schemas"]
        for table in schema["db_schema_tables"]
    ]
    expect("load_facts" in names, True, f"tables {names}")
    schema = connection.adbc_get_table_schema("load_facts", db_schema_filter="bronze")
    expect(schema.names, ["id", "name", "twice"], "columns")
    expect(connection.adbc_get_info()["vendor_name"], "Lakegate", "server")


def break_off(cursor, state: dict) -> None:
    state["broken_off"] = state.get("broken_off", 0) + 1
    with state["connection"].cursor() as leaving:
        if state["broken_off"] % 2:
            # Reads a little, and goes.
            leaving.execute(ENDLESS)
            expect(leaving.fetchone(), (1,), "first row")
            return
        leaving.execute(SILENT)
        timer = threading.Timer(0.1, leaving.adbc_cancel)
        timer.start()
        try:
            leaving.fetchall()
        except adbc_driver_manager.Error:
            return
        finally:
            timer.join()
        raise AssertionError("a query that does not end has ended")


MISTAKES = [
    ("SELECT nam FROM bronze.load_facts", "did you mean `name`?"),
    ("SELECT * FROM bronze.load_fact", "did you mean `bronze.load_facts`?"),
    ("SELECT 1 / (id - id) FROM bronze.load_facts", "divide by zero"),
    ("SELECT", "1:1"),
    ("CREATE VIEW v AS SELECT 1", "`CREATE VIEW`"),
    ("CREATE TABLE bronze.load_facts (id BIGINT)", "exists already"),
]


def make_mistakes(cursor, state: dict) -> None:
    sql, words = random.choice(MISTAKES)
    try:
        rows(cursor, sql)
    except adbc_driver_manager.Error as error:
        if is_busy(error):
            raise
        expect(words in str(error), True, f"{sql}: {error}")
        return
    raise AssertionError(f"no error: {sql}")


def come_and_go(cursor, state: dict) -> None:
    with connect() as connection, connection.cursor() as other:
        number = random.randrange(1_000_000)
        expect(rows(other, "SELECT CAST(? AS BIGINT) AS x", [number]), [(number,)], "a new connection")


KINDS = [look_up, scan, aggregate, write, read_metadata, break_off, make_mistakes, come_and_go]


def is_busy(error: Exception) -> bool:
    """Whether the server asks to try again: its line is full."""
    return "try again" in str(error)


def work(number: int) -> None:
    kind = KINDS[number % len(KINDS)]
    with connect() as connection, connection.cursor() as cursor:
        state = {"number": number, "connection": connection}
        while not ended.is_set():
            started = time.monotonic()
            try:
                kind(cursor, state)
            except Exception as error:
                # What was written is not known: another table.
                state.pop("commits", None)
                with lock:
                    if isinstance(error, adbc_driver_manager.Error) and is_busy(error):
                        turned_away[kind.__name__] += 1
                    else:
                        wrong.append(f"{kind.__name__}: {traceback.format_exc(limit=-2)}")
                        if len(wrong) > 20:
                            ended.set()
                continue
            with lock:
                elapsed[kind.__name__].append(time.monotonic() - started)


def resident() -> float:
    """The server's resident memory, in MiB."""
    status = pathlib.Path(f"/proc/{PID}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def metric(name: str) -> int:
    with urllib.request.urlopen(f"http://{HTTP}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(int(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def settled() -> bool:
    """Whether nothing runs or waits any more, soon after the last client went."""
    for _ in range(100):
        if metric("lakegate_queries_running") == metric("lakegate_queries_waiting") == 0:
            return True
        time.sleep(0.1)
    return False


def main() -> None:
    with connect() as connection, connection.cursor() as cursor:
        prepare(cursor)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    memory = []
    until = time.monotonic() + MINUTES * 60
    while time.monotonic() < until and not ended.wait(0.5):
        memory.append(resident())
    ended.set()
    for thread in threads:
        thread.join()
    if not settled():
        wrong.append("queries run or wait although no client is there")
    with connect() as connection, connection.cursor() as cursor:
        for number in [number for number in range(CONNECTIONS) if KINDS[number % len(KINDS)] is write]:
            rows(cursor, f"DROP TABLE IF EXISTS bronze.load_written_{number}")
        rows(cursor, "DROP TABLE bronze.load_facts")
    third = max(1, len(memory) // 3)
    middle, last = statistics.median(memory[third : 2 * third] or memory), statistics.median(memory[-third:])
    if last > middle * MEMORY_GROWTH + MEMORY_SLACK:
        wrong.append(f"memory grows: {middle:.0f} MiB in the middle third, {last:.0f} MiB in the last")
    figures = {}
    for kind in KINDS:
        times = sorted(elapsed[kind.__name__]) or [0.0]
        figures[kind.__name__] = {
            "count": len(elapsed[kind.__name__]),
            "median_ms": round(times[len(times) // 2] * 1000, 1),
            "p99_ms": round(times[len(times) * 99 // 100] * 1000, 1),
            "turned_away": turned_away[kind.__name__],
        }
    print(
        json.dumps(
            {
                "connections": CONNECTIONS,
                "seconds": round(MINUTES * 60),
                "kinds": figures,
                "resident_mib": {
                    "first": round(memory[0]), "middle_third": round(middle), "last_third": round(last),
                    "most": round(max(memory)),
                },
                "wrong": wrong,
            },
            indent=2,
        )
    )
    sys.stdout.flush()
    print("\n".join(wrong), file=sys.stderr, flush=True)
    # The driver's threads do not always end with the interpreter.
    os._exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
