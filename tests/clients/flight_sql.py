"""Talks to a Flight SQL door as Python's clients do, and says as JSON how many of its tests passed.

The project behind the door is that of `tests/it/orders.rs`, with its first delivery.
"""

import datetime
import decimal
import sys
import threading
import unittest
import warnings

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import pandas
import pyarrow
import pyarrow.flight
from flightsql import FlightSQLClient

import suite

ADDRESS = sys.argv[1]
URI = f"grpc://{ADDRESS}"
HEADER = adbc_driver_flightsql.DatabaseOptions.AUTHORIZATION_HEADER.value

# The server has no transactions, and says so.
warnings.filterwarnings("ignore", message="Cannot disable autocommit")


def connect(**options: str):
    return dbapi.connect(URI, db_kwargs=options)


class Adbc(unittest.TestCase):
    def setUp(self) -> None:
        self.connection = connect()
        self.cursor = self.connection.cursor()
        self.addCleanup(self.connection.close)
        self.addCleanup(self.cursor.close)

    def rows(self, sql: str, parameters=None) -> list:
        self.cursor.execute(sql, parameters)
        return self.cursor.fetchall()

    def refused(self, sql: str, error: type, *words: str) -> None:
        with self.assertRaises(error) as raised:
            self.rows(sql)
        for word in words:
            self.assertIn(word, str(raised.exception))

    def test_queries_give_rows(self) -> None:
        self.assertEqual(self.rows("SELECT 1 AS x"), [(1,)])
        self.assertEqual(self.rows("SELECT count(*), min(id), max(id) FROM silver.orders"), [(100, 1, 100)])
        self.cursor.execute("SELECT * FROM silver.orders")
        self.assertEqual(self.cursor.fetch_arrow_table().num_rows, 100)
        self.assertEqual(self.rows("SELECT id FROM silver.orders WHERE id > 1000"), [])

    def test_tables_tell_what_their_gate_said(self) -> None:
        schema = self.connection.adbc_get_table_schema("orders", db_schema_filter="silver")
        self.assertEqual(schema.metadata[b"lakegate.verdict"], b"pass")
        self.assertGreaterEqual(int(schema.metadata[b"lakegate.version"]), 0)
        self.assertTrue(schema.metadata[b"lakegate.judged_at"].endswith(b"Z"))
        schema = self.connection.adbc_get_table_schema("check_results", db_schema_filter="lakegate")
        self.assertNotIn(b"lakegate.verdict", schema.metadata or {})

    def test_columns_that_cannot_be_null_are_told_as_they_come(self) -> None:
        self.cursor.execute("SELECT count(*) AS n, max(day) AS day, 'x' AS x FROM silver.orders")
        table = self.cursor.fetch_arrow_table()
        self.assertEqual(table.schema.names, ["n", "day", "x"])
        self.assertTrue(all(field.nullable for field in table.schema))

    def test_parameters_are_bound_by_number_and_in_turn(self) -> None:
        sql = "SELECT count(*) FROM silver.orders WHERE customer = {} AND id <= {}"
        expected = [(7,)]
        self.assertEqual(self.rows(sql.format("$1", "$2"), ["c1", 50]), [(8,)])
        self.assertEqual(self.rows(sql.format("$2", "$1"), [49, "c1"]), expected)
        self.assertEqual(self.rows(sql.format("?", "?"), ["c1", 49]), expected)
        self.assertEqual(self.rows("SELECT id FROM silver.orders ORDER BY id LIMIT ?", [2]), [(1,), (2,)])
        self.refused("SELECT ?, $1", self.connection.ProgrammingError, "two ways")
        with self.assertRaises(self.connection.ProgrammingError) as raised:
            self.rows("SELECT $1, $2", [1])
        self.assertIn("2 parameters", str(raised.exception))

    def test_values_keep_their_types(self) -> None:
        values = [
            7,
            1.5,
            True,
            "it's",
            b"\x00\xff",
            datetime.date(2020, 1, 2),
            datetime.datetime(2020, 1, 2, 3, 4, 5, 678901),
            decimal.Decimal("12.34"),
            None,
        ]
        marks = ", ".join("?" for _ in values)
        self.assertEqual(self.rows(f"SELECT {marks}", values), [tuple(values)])

    def test_a_value_is_never_sql(self) -> None:
        text = "c1' OR '1'='1"
        self.assertEqual(self.rows("SELECT count(*) FROM silver.orders WHERE customer = ?", [text]), [(0,)])

    def test_versions_are_read(self) -> None:
        sql = "SELECT count(*) FROM silver.orders VERSION AS OF {}"
        self.assertEqual(self.rows(sql.format(0)), [(100,)])
        self.assertEqual(self.rows(sql.format("?"), [0]), [(100,)])
        self.refused(sql.format(7), self.connection.ProgrammingError, "version 7")

    def test_mistakes_are_named_with_a_way_out(self) -> None:
        error = self.connection.ProgrammingError
        self.refused("SELECT", error, "INVALID_ARGUMENT", "1:1")
        self.refused("SELECT custmer FROM silver.orders", error, "1:8", "did you mean `customer`?")
        self.refused("SELECT * FROM silver.order", error, "did you mean `silver.orders`?")
        self.refused("SELECT 1/0", error, "divide by zero")
        self.refused("SELECT 1; SELECT 2", error, "more than one")
        self.refused("SELECT " + "1," * 600_000 + "1", error, "bytes")
        unsupported = self.connection.NotSupportedError
        self.refused("CREATE VIEW v AS SELECT 1", unsupported, "`CREATE VIEW`")
        self.refused("COPY (SELECT 1) TO 'x.parquet'", unsupported, "`COPY`")
        self.refused("SET x = 1", unsupported, "`SET`")
        self.refused("CREATE TABLE bronze.x (a INT NOT NULL)", unsupported, "`NOT NULL` of column `a`")
        self.refused("CREATE TABLE bronze.x (a VARCHAR(3))", unsupported, "the length of column `a`")
        self.refused("CREATE TABLE bronze.x", error, "needs a column")
        self.refused("SELECT " + "cast(" * 60 + "1" + " as int)" * 60, error, "inside of each other")
        self.refused("CREATE TABLE bronze.x (a " + "ARRAY<" * 60 + "INT" + ">" * 60 + ")", error, "inside of each other")
        self.refused("INSERT INTO silver.orders SELECT 'x', 'c', 1, DATE '2024-01-04'", error, "cannot hold x")
        self.refused("CREATE TABLE bronze.x AS SELECT 1 / (id - 1) AS a FROM silver.orders", error, "zero")
        self.rows('CREATE TABLE bronze."Folded" AS SELECT 1 AS a')
        self.rows("DROP TABLE bronze.folded")
        self.refused("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/'", unsupported, "`CREATE EXTERNAL TABLE`")

    def test_tables_and_columns_are_listed(self) -> None:
        objects = self.connection.adbc_get_objects(depth="all").read_all().to_pylist()
        self.assertEqual([catalog["catalog_name"] for catalog in objects], ["lakegate"])
        tables = {
            (schema["db_schema_name"], table["table_name"]): table
            for schema in objects[0]["catalog_db_schemas"]
            for table in schema["db_schema_tables"]
        }
        orders = tables["silver", "orders"]
        self.assertEqual(orders["table_type"], "TABLE")
        self.assertEqual(tables["lakegate", "check_results"]["table_type"], "SYSTEM TABLE")
        self.assertEqual(tables["information_schema", "columns"]["table_type"], "VIEW")
        columns = [column["column_name"] for column in orders["table_columns"]]
        self.assertEqual(columns, ["id", "customer", "amount", "day"])
        schema = self.connection.adbc_get_table_schema("orders", db_schema_filter="silver")
        self.assertEqual(schema.field("amount").type, pyarrow.decimal128(12, 2))
        self.assertEqual(schema.field("amount").metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"], b"decimal(12,2)")
        self.assertEqual(self.connection.adbc_get_table_types(), ["SYSTEM TABLE", "TABLE", "VIEW"])
        self.assertEqual(self.connection.adbc_get_info()["vendor_name"], "Lakegate")

    def test_session_has_a_schema(self) -> None:
        for options in [{}, {"username": "ann", "password": "x"}]:
            with connect(**options) as connection:
                self.assertEqual(connection.adbc_current_catalog, "lakegate")
                self.assertEqual(connection.adbc_current_db_schema, "default")
                connection.adbc_current_db_schema = "silver"
                self.assertEqual(connection.adbc_current_db_schema, "silver")
                with connection.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM orders")
                    self.assertEqual(cursor.fetchall(), [(100,)])
        with self.assertRaises(adbc_driver_manager.Error):
            self.rows("SELECT count(*) FROM orders")
        with connect() as connection:
            connection.adbc_current_db_schema = "silver"
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM generate_series(1, 3)")
                self.assertEqual(cursor.fetchall(), [(3,)])
            with self.assertRaises(adbc_driver_manager.Error):
                connection.adbc_current_db_schema = "no.schema"

    def test_schema_is_known_without_running(self) -> None:
        schema = self.cursor.adbc_execute_schema("SELECT id, amount FROM silver.orders")
        self.assertEqual(schema.names, ["id", "amount"])
        partitions, schema = self.cursor.adbc_execute_partitions("SELECT id FROM silver.orders")
        self.assertEqual(len(partitions), 1)
        self.cursor.adbc_read_partition(partitions[0])
        self.assertEqual(len(self.cursor.fetchall()), 100)

    def test_tables_are_made_filled_and_dropped_by_sql(self) -> None:
        self.rows("CREATE TABLE bronze.made (id BIGINT, name VARCHAR, price DECIMAL(10,2))")
        self.refused("CREATE TABLE bronze.made (id BIGINT)", self.connection.ProgrammingError, "exists already")
        self.rows("CREATE TABLE IF NOT EXISTS bronze.made (id BIGINT)")
        self.rows("INSERT INTO bronze.made VALUES (1, 'a', 1.5), (2, 'b', NULL)")
        self.assertEqual(self.cursor.rowcount, 2)
        self.cursor.executemany("INSERT INTO bronze.made (name, id) VALUES (?, ?)", [("c", 3), ("d", 4)])
        self.assertEqual(self.cursor.rowcount, 2)
        # Two rows of values came in one commit.
        self.assertEqual(self.rows("SELECT count(*) FROM bronze.made VERSION AS OF 2"), [(4,)])
        self.cursor.executescript("INSERT INTO bronze.made VALUES (5, 'e', 0)")
        rows = self.rows("SELECT id, name, price FROM bronze.made ORDER BY id")
        self.assertEqual(rows[0], (1, "a", decimal.Decimal("1.50")))
        self.assertEqual([row[:2] for row in rows[1:]], [(2, "b"), (3, "c"), (4, "d"), (5, "e")])
        self.rows("CREATE TABLE bronze.copy AS SELECT * FROM bronze.made WHERE id > 1")
        self.assertEqual(self.cursor.rowcount, 4)
        self.rows("INSERT OVERWRITE bronze.copy SELECT * FROM bronze.made WHERE id = 1")
        self.assertEqual(self.rows("SELECT id FROM bronze.copy"), [(1,)])
        for table in ["copy", "made"]:
            self.rows(f"DROP TABLE bronze.{table}")
        self.refused("SELECT * FROM bronze.copy", adbc_driver_manager.Error, "does not exist")
        self.rows("DROP TABLE IF EXISTS bronze.copy")
        self.refused("DROP TABLE bronze.copy", adbc_driver_manager.Error, "does not exist")

    def test_rows_are_updated_and_deleted(self) -> None:
        self.rows("CREATE TABLE bronze.changed AS SELECT id, customer, amount FROM silver.orders")
        self.rows("UPDATE bronze.changed SET amount = amount + 1, customer = 'x' WHERE id <= 10")
        self.assertEqual(self.cursor.rowcount, 10)
        self.assertEqual(self.rows("SELECT count(*) FROM bronze.changed WHERE customer = 'x'"), [(10,)])
        self.assertEqual(self.rows("SELECT amount FROM bronze.changed WHERE id = 1"), [(decimal.Decimal("2.50"),)])
        self.rows("DELETE FROM bronze.changed WHERE customer = ? AND id > ?", ["x", 5])
        self.assertEqual(self.cursor.rowcount, 5)
        self.rows("DELETE FROM bronze.changed WHERE id > 1000")
        self.assertEqual(self.cursor.rowcount, 0)
        self.assertEqual(self.rows("SELECT count(*) FROM bronze.changed"), [(95,)])
        unsupported = self.connection.NotSupportedError
        self.refused("DELETE FROM bronze.changed WHERE id IN (SELECT id FROM silver.orders)", unsupported, "subquery")
        mistake = self.connection.ProgrammingError
        self.refused("UPDATE bronze.changed SET id = id / (id - id)", mistake, "zero")
        self.refused("UPDATE bronze.changed SET id = 1 FROM silver.orders", mistake, "FROM")
        self.rows("DELETE FROM bronze.changed")
        self.assertEqual(self.rows("SELECT count(*) FROM bronze.changed"), [(0,)])
        self.rows("DROP TABLE bronze.changed")
        refused = adbc_driver_manager.Error
        self.refused("UPDATE silver.orders SET customer = NULL WHERE id = 1", refused, "customer/not_null")
        merge = "MERGE INTO silver.orders t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET customer = NULL"
        self.refused(merge, refused, "customer/not_null")
        self.refused("DELETE FROM lakegate.runs", refused, "lakegate.runs")

    def test_columns_have_the_types_of_all_their_values(self) -> None:
        half = decimal.Decimal("2.50")
        self.assertEqual(self.rows("SELECT 1 AS a UNION ALL SELECT 2.5 ORDER BY 1"), [(1.0,), (2.5,)])
        sql = "SELECT CASE WHEN id < 0 THEN 0 ELSE amount END FROM silver.orders WHERE id = 2"
        self.assertEqual(self.rows(sql), [(half,)])
        self.assertEqual(self.rows("SELECT NULL AS a UNION ALL SELECT 'x' ORDER BY 1"), [("x",), (None,)])
        self.rows("CREATE TABLE bronze.both AS SELECT 1 AS a UNION ALL SELECT 2.5")
        self.assertEqual(self.rows("SELECT sum(a) FROM bronze.both"), [(3.5,)])
        self.rows("DROP TABLE bronze.both")

    def test_one_of_many_makes_a_table(self) -> None:
        made, refused = [], []

        def make(number: int) -> None:
            with connect() as connection, connection.cursor() as cursor:
                try:
                    cursor.execute(f"CREATE TABLE bronze.raced AS SELECT {number} AS number")
                    cursor.fetchall()
                    made.append(number)
                except adbc_driver_manager.Error as error:
                    refused.append(str(error))

        threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(made), 1, refused)
        self.assertTrue(all("exists already" in message for message in refused), refused)
        self.assertEqual(self.rows("SELECT number FROM bronze.raced"), [(made[0],)])
        self.rows("DROP TABLE bronze.raced")

    def test_many_writers_lose_no_row(self) -> None:
        self.rows("CREATE TABLE bronze.shared (writer BIGINT)")

        def write(writer: int) -> None:
            with connect() as connection, connection.cursor() as cursor:
                for _ in range(3):
                    cursor.execute("INSERT INTO bronze.shared VALUES (?)", [writer])
                    cursor.fetchall()

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts = self.rows("SELECT writer, count(*) FROM bronze.shared GROUP BY writer ORDER BY writer")
        self.assertEqual(counts, [(writer, 3) for writer in range(4)])
        self.rows("DROP TABLE bronze.shared")

    def test_gate_refuses_rows_that_fail_the_rules(self) -> None:
        before = self.rows("SELECT count(*), sum(amount) FROM silver.orders")
        for values in ["(500, NULL, 1.00, DATE '2024-01-04')", "(1, 'c1', 1.00, DATE '2024-01-04')"]:
            self.refused(f"INSERT INTO silver.orders VALUES {values}", adbc_driver_manager.Error, "refused")
        self.refused("INSERT OVERWRITE silver.orders SELECT 7, NULL, 1, DATE '2024-01-04'", adbc_driver_manager.Error, "customer/not_null")
        self.assertEqual(self.rows("SELECT count(*), sum(amount) FROM silver.orders"), before)
        self.refused("INSERT INTO lakegate.runs (run) VALUES ('x')", adbc_driver_manager.Error, "lakegate.runs")
        self.refused("DROP TABLE lakegate.runs", adbc_driver_manager.Error, "lakegate.runs")

    def test_verdicts_are_a_table(self) -> None:
        rows = self.rows("SELECT DISTINCT verdict FROM lakegate.check_results WHERE table_name = 'silver.orders'")
        self.assertEqual(rows, [("pass",)])

    def test_rows_are_ingested(self) -> None:
        table = pyarrow.table({"id": range(10_000), "name": [f"n{i}" for i in range(10_000)]})
        ingest = lambda mode, rows=table: self.cursor.adbc_ingest("ingested", rows, mode=mode, db_schema_name="bronze")
        self.assertEqual(ingest("create"), 10_000)
        with self.assertRaises(adbc_driver_manager.Error):
            ingest("create")
        self.assertEqual(ingest("append", table.slice(0, 10)), 10)
        self.assertEqual(self.rows("SELECT count(*) FROM bronze.ingested"), [(10_010,)])
        self.assertEqual(ingest("replace", table.slice(0, 5)), 5)
        self.assertEqual(ingest("create_append", table.slice(5, 2)), 2)
        self.assertEqual(self.rows("SELECT count(*), max(name) FROM bronze.ingested"), [(7, "n6")])
        with self.assertRaises(adbc_driver_manager.Error) as raised:
            ingest("append", pyarrow.table({"id": ["x"]}))
        self.assertIn("id", str(raised.exception))
        self.rows("DROP TABLE bronze.ingested")
        self.cursor.execute("SELECT * FROM silver.orders WHERE id = 1")
        repeated = self.cursor.fetch_arrow_table()
        with self.assertRaises(adbc_driver_manager.Error) as raised:
            self.cursor.adbc_ingest("orders", repeated, mode="append", db_schema_name="silver")
        self.assertIn("refused", str(raised.exception))

    def test_frames_of_pandas_are_ingested(self) -> None:
        # What pandas says of a frame as a whole goes with its columns.
        frame = pandas.DataFrame({"id": [1, 2], "name": ["a", None]})
        for if_exists, rows in [("fail", 2), ("append", 4), ("replace", 2)]:
            frame.to_sql("framed", self.connection, schema="bronze", index=False, if_exists=if_exists)
            self.assertEqual(self.rows("SELECT count(*), count(name) FROM bronze.framed"), [(rows, rows // 2)])
        self.rows("DROP TABLE bronze.framed")

    def test_ingest_that_dies_midway_leaves_nothing(self) -> None:
        schema = pyarrow.schema({"id": pyarrow.int64()})

        def batches():
            yield pyarrow.record_batch({"id": range(1_000)})
            raise ValueError("the client breaks off")

        reader = pyarrow.RecordBatchReader.from_batches(schema, batches())
        with self.assertRaises(Exception):
            self.cursor.adbc_ingest("broken_off", reader, mode="create", db_schema_name="bronze")
        self.refused("SELECT * FROM bronze.broken_off", adbc_driver_manager.Error, "does not exist")

    def test_long_query_is_cancelled_by_its_client(self) -> None:
        self.cursor.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 10000000) b")
        timer = threading.Timer(0.5, self.cursor.adbc_cancel)
        timer.start()
        with self.assertRaises(adbc_driver_manager.Error):
            self.cursor.fetchall()
        timer.join()

    def test_pandas_and_polars_read(self) -> None:
        import polars

        self.cursor.execute("SELECT id, amount FROM silver.orders")
        self.assertEqual(len(self.cursor.fetch_df()), 100)
        frame = polars.read_database("SELECT id, customer FROM silver.orders WHERE id <= 5", self.connection)
        self.assertEqual(frame.shape, (5, 2))


class Flight(unittest.TestCase):
    def test_basic_login_gives_a_token_that_is_taken(self) -> None:
        client = pyarrow.flight.connect(URI)
        header = client.authenticate_basic_token("ann", "secret")
        self.assertEqual(header[0], b"authorization")
        options = pyarrow.flight.FlightCallOptions(headers=[header])
        self.assertIn("CloseSession", [action.type for action in client.list_actions(options)])

    def test_garbage_is_refused(self) -> None:
        client = pyarrow.flight.connect(URI)
        for ticket in [b"", b"\xff\xff", b"garbage", b"\n\x03abc"]:
            with self.assertRaises(pyarrow.ArrowException):
                client.do_get(pyarrow.flight.Ticket(ticket)).read_all()
        for action in ["CreatePreparedStatement", "CancelFlightInfo", "BeginTransaction", "Unknown"]:
            with self.assertRaises(pyarrow.ArrowException):
                list(client.do_action(pyarrow.flight.Action(action, b"\xff")))
        with self.assertRaises(pyarrow.ArrowException):
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_path("a"))


class FlightSqlDbapi(unittest.TestCase):
    def setUp(self) -> None:
        host, port = ADDRESS.rsplit(":", 1)
        self.client = FlightSQLClient(host=host, port=int(port), insecure=True)

    def table(self, info) -> pyarrow.Table:
        return self.client.do_get(info.endpoints[0].ticket).read_all()

    def test_queries_and_metadata(self) -> None:
        info = self.client.execute("SELECT count(*) AS n FROM silver.orders")
        self.assertEqual(self.table(info).to_pylist(), [{"n": 100}])
        tables = self.table(self.client.get_tables(db_schema_filter_pattern="sil%", include_schema=True))
        self.assertEqual(tables["table_name"].to_pylist(), ["orders"])
        self.assertEqual(self.table(self.client.get_catalogs())["catalog_name"].to_pylist(), ["lakegate"])
        self.assertIn("gold", self.table(self.client.get_db_schemas())["db_schema_name"].to_pylist())

    def test_ticket_reads_the_versions_that_were_planned(self) -> None:
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE bronze.pinned AS SELECT 1 AS id")
            cursor.fetchall()
            planned = self.client.execute("SELECT count(*) AS n FROM bronze.pinned")
            cursor.execute("INSERT INTO bronze.pinned VALUES (2)")
            cursor.fetchall()
            self.assertEqual(self.table(planned).to_pylist(), [{"n": 1}])
            # A ticket can be fetched again.
            self.assertEqual(self.table(planned).to_pylist(), [{"n": 1}])
            now = self.client.execute("SELECT count(*) AS n FROM bronze.pinned")
            self.assertEqual(self.table(now).to_pylist(), [{"n": 2}])
            cursor.execute("DROP TABLE bronze.pinned")
            cursor.fetchall()
            cursor.execute("CREATE TABLE bronze.pinned AS SELECT 'another' AS name")
            cursor.fetchall()
            with self.assertRaises(pyarrow.ArrowException) as raised:
                self.table(now)
            self.assertIn("pinned", str(raised.exception))
            cursor.execute("DROP TABLE bronze.pinned")
            cursor.fetchall()

    def test_tampered_ticket_is_refused(self) -> None:
        ticket = bytearray(self.client.execute("SELECT 1").endpoints[0].ticket.ticket)
        ticket[-5] ^= 1
        with self.assertRaises(pyarrow.ArrowException) as raised:
            self.client.do_get(pyarrow.flight.Ticket(bytes(ticket))).read_all()
        self.assertIn("ticket", str(raised.exception))


if __name__ == "__main__":
    suite.run()
