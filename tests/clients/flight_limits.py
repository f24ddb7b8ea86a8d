"""Clients that a server has to get along with: one that takes no rows, one that sends none, some whose SQL is long to plan.

Arguments: the Flight SQL door, the HTTP door of a server with `--stall-limit 1s`. Says as JSON how many tests passed.
"""

import sys
import threading
import unittest
import urllib.request
import warnings

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow
import pyarrow.flight
from flightsql import FlightSQLClient

import suite

FLIGHT, HTTP = sys.argv[1:3]
HOST, PORT = FLIGHT.split(":")

# More than what is on its way to a client that takes nothing.
MANY = "SELECT value, value * 7 AS other FROM range(20000000)"

# Its type is found anew at each of its levels.
LONG = "SELECT " + " + ".join("x" for _ in range(700)) + " FROM (VALUES (1)) AS t(x)"

warnings.filterwarnings("ignore", message="Cannot disable autocommit")


def running() -> int:
    with urllib.request.urlopen(f"http://{HTTP}/metrics") as answer:
        text = answer.read().decode()
    (line,) = [line for line in text.splitlines() if line.startswith("lakegate_queries_running ")]
    return int(line.split()[1])


def wait_until_none_runs() -> None:
    while running() > 0:
        pass


class Limits(unittest.TestCase):
    def test_client_that_takes_no_rows_loses_its_place(self) -> None:
        client = FlightSQLClient(host=HOST, port=int(PORT), insecure=True)
        info = client.execute(MANY)
        reader = client.do_get(info.endpoints[0].ticket)
        reader.read_chunk()
        self.assertEqual(running(), 1)
        wait_until_none_runs()
        with self.assertRaisesRegex(pyarrow.flight.FlightTimedOutError, "1s pass without taking or sending rows"):
            reader.read_all()

    def test_client_that_sends_no_rows_loses_its_place(self) -> None:
        over = threading.Event()

        def batches():
            yield pyarrow.record_batch({"x": [1]})
            over.wait()

        def ingest() -> None:
            with dbapi.connect(f"grpc://{FLIGHT}") as connection, connection.cursor() as cursor:
                schema = pyarrow.schema({"x": pyarrow.int64()})
                reader = pyarrow.RecordBatchReader.from_batches(schema, batches())
                with self.assertRaisesRegex(Exception, "1s pass without taking or sending rows"):
                    cursor.adbc_ingest("stalled", reader)

        client = threading.Thread(target=ingest)
        client.start()
        while running() == 0:
            pass
        wait_until_none_runs()
        over.set()
        client.join()

    def test_long_planning_holds_up_nobody(self) -> None:
        planned = []

        def plan() -> None:
            with dbapi.connect(f"grpc://{FLIGHT}") as connection, connection.cursor() as cursor:
                cursor.adbc_prepare(LONG)
                planned.append(True)

        planners = [threading.Thread(target=plan) for _ in range(4)]
        with dbapi.connect(f"grpc://{FLIGHT}") as connection, connection.cursor() as cursor:
            for planner in planners:
                planner.start()
            cursor.execute("SELECT 1")
            self.assertEqual(cursor.fetchall(), [(1,)])
            self.assertEqual(planned, [], "the long statements were planned first")
        for planner in planners:
            planner.join()
        self.assertEqual(len(planned), len(planners))


if __name__ == "__main__":
    suite.run()
