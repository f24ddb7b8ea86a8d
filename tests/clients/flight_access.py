"""Who may come in, and what they may do: users, tokens, certificates, roles.

Arguments: the binary, a project folder with the tables of `tests/it/orders.rs`. Makes users and certificates, starts servers,
and says as JSON how many of its tests passed.
"""

import json
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.request
import warnings

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as dbapi
import pyarrow
import pyarrow.flight
import trustme

import suite

BINARY, PROJECT = sys.argv[1], pathlib.Path(sys.argv[2])
OPTIONS = adbc_driver_flightsql.DatabaseOptions
HEADER = OPTIONS.AUTHORIZATION_HEADER.value

ROLES = """
version: 1
roles:
  analyst: { read: [silver.orders] }
  loader: { read: ["*"], write: [silver.*], manage: [scratch.*] }
"""

PASSWORDS = {"ann": "correct horse", "lou": "battery staple", "adam": "Tr0ub4dor:&3"}

# The server has no transactions, and says so.
warnings.filterwarnings("ignore", message="Cannot disable autocommit")


def lakegate(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    command = [BINARY, "-C", str(PROJECT), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True)


def expect(ran: subprocess.CompletedProcess) -> str:
    assert ran.returncode == 0, (ran.args, ran.stdout, ran.stderr)
    return ran.stdout


def add(name: str, role: str) -> None:
    expect(lakegate("user", "add", name, "--role", role, "--password-stdin", stdin=PASSWORDS[name] + "\n"))


class Server:
    def __init__(self, *arguments: str) -> None:
        command = [BINARY, "-C", str(PROJECT), "serve", "--flight", "127.0.0.1:0", "--http", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready = json.loads(self.process.stdout.readline())
        self.flight, self.http = ready["flight"], ready["http"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def connect(self, scheme: str = "grpc", **options: str):
        return dbapi.connect(f"{scheme}://{self.flight}", db_kwargs=options)

    def as_user(self, name: str, password: str | None = None):
        return self.connect(username=name, password=password or PASSWORDS[name])


def rows(connection, sql: str, parameters=None) -> list:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def tables(connection) -> set[str]:
    found = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    schemas = [schema for catalog in found for schema in catalog["catalog_db_schemas"]]
    return {f"{schema['db_schema_name']}.{table['table_name']}" for schema in schemas for table in schema["db_schema_tables"]}


class Access(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        (PROJECT / "roles.yaml").write_text(ROLES)
        add("ann", "analyst")
        add("lou", "loader")
        add("adam", "admin")
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)

    def refused(self, error: type, connection, sql: str, *words: str) -> None:
        with self.assertRaises(error) as raised:
            rows(connection, sql)
        for word in words:
            self.assertIn(word, str(raised.exception))

    def test_who_shows_nothing_or_the_wrong_thing_stays_out(self) -> None:
        for options in (
            {},
            {"username": "ann", "password": "correct horses"},
            {"username": "eve", "password": "correct horse"},
            {HEADER: "Bearer lakegate_x"},
            {HEADER: "Bearer"},
            {HEADER: "Basic !!"},
        ):
            with self.subTest(options), self.assertRaisesRegex(dbapi.Error, "UNAUTHENTICATED|Unauthenticated"):
                with self.server.connect(**options) as connection:
                    rows(connection, "SELECT 1")

    def test_passwords_and_tokens_say_who_somebody_is(self) -> None:
        token = expect(lakegate("user", "token", "lou", "--name", "session", "--expires", "1h")).strip()
        with self.server.as_user("ann") as connection:
            self.assertEqual(rows(connection, "SELECT count(*) FROM silver.orders"), [(100,)])
            # A session goes on with who it began with.
            connection.adbc_current_db_schema = "silver"
            self.assertEqual(rows(connection, "SELECT count(*) FROM orders"), [(100,)])
            self.refused(dbapi.Error, connection, "DELETE FROM orders", "`ann` may not write to table `silver.orders`")
        for options in ({HEADER: f"Bearer {token}"},):
            with self.server.connect(**options) as connection:
                self.assertEqual(rows(connection, "SELECT count(*) FROM silver.orders"), [(100,)])
                connection.adbc_current_db_schema = "silver"
                self.assertEqual(rows(connection, "SELECT count(*) FROM orders"), [(100,)])
        headers = pyarrow.flight.FlightClient(f"grpc://{self.server.flight}").authenticate_basic_token("ann", PASSWORDS["ann"])
        self.assertTrue(headers[1].startswith(b"Bearer "))
        kept = (PROJECT / "users.json").read_text()
        for secret in [token, *PASSWORDS.values()]:
            self.assertNotIn(secret, kept)

    def test_what_is_not_granted_is_not_there(self) -> None:
        with self.server.as_user("ann") as connection:
            self.assertEqual({name for name in tables(connection) if not name.startswith("information_schema.")}, {
                "silver.orders", "lakegate.check_results", "lakegate.samples", "lakegate.stages", "lakegate.queries",
            } & tables(connection))
            self.assertIn("silver.orders", tables(connection))
            self.assertNotIn("gold.totals", tables(connection))
            for sql in (
                "SELECT * FROM gold.totals",
                'SELECT * FROM "gold"."TOTALS"',
                "SELECT * FROM lakegate.gold.totals",
                "SELECT * FROM gold.totals VERSION AS OF 0",
                "SELECT (SELECT count(*) FROM gold.totals)",
                "WITH x AS (SELECT * FROM gold.totals) SELECT * FROM x",
                "EXPLAIN SELECT * FROM gold.totals",
                "SELECT * FROM lakegate.audit",
                "SELECT * FROM lakegate.runs",
            ):
                with self.subTest(sql):
                    self.refused(dbapi.Error, connection, sql, "does not exist")
            listed = rows(connection, "SELECT table_schema || '.' || table_name FROM information_schema.tables")
            self.assertNotIn(("gold.totals",), listed)
            self.assertIn(("silver.orders",), listed)
            self.assertNotIn("gold", str(rows(connection, "SHOW TABLES")))
            # A mistake does not tell the names of others' tables.
            with self.assertRaises(dbapi.Error) as raised:
                rows(connection, "SELECT * FROM gold.total")
            self.assertNotIn("gold.totals", str(raised.exception))

    def test_only_what_is_granted_is_done(self) -> None:
        with self.server.as_user("ann") as connection:
            for sql in (
                "INSERT INTO silver.orders SELECT * FROM silver.orders",
                "INSERT OVERWRITE silver.orders SELECT * FROM silver.orders",
                "UPDATE silver.orders SET id = id + 1",
                "DELETE FROM silver.orders WHERE id = 1",
            ):
                self.refused(dbapi.Error, connection, sql, "may not write to table `silver.orders`", "hint: ")
            for sql in (
                "CREATE TABLE silver.copy AS SELECT 1 AS x",
                "CREATE TABLE IF NOT EXISTS gold.totals (x BIGINT)",
                "DROP TABLE silver.orders",
                "DROP TABLE IF EXISTS gold.totals",
            ):
                self.refused(dbapi.Error, connection, sql, "may not make, drop or maintain")
            rows_of_one = pyarrow.table({"x": [1]})
            for table, schema in (("orders", "silver"), ("totals", "gold"), ("other", "silver")):
                for mode in ("append", "replace", "create", "create_append"):
                    with connection.cursor() as cursor, self.assertRaises(dbapi.Error) as raised:
                        cursor.adbc_ingest(table, rows_of_one, mode=mode, db_schema_name=schema)
                    self.assertRegex(str(raised.exception), "may not|does not exist|exists already")
        with self.server.as_user("lou") as connection:
            rows(connection, "CREATE TABLE scratch.x AS SELECT 1 AS x")
            rows(connection, "INSERT INTO scratch.x VALUES (2)")
            self.assertEqual(rows(connection, "SELECT sum(x) FROM scratch.x"), [(3,)])
            rows(connection, "DROP TABLE scratch.x")
            self.refused(dbapi.Error, connection, "DROP TABLE silver.orders", "may not make, drop or maintain")
            self.assertEqual(rows(connection, "SELECT count(*) FROM silver.orders"), [(100,)])

    def test_only_own_rows_of_system_tables_are_there(self) -> None:
        with self.server.as_user("adam") as connection:
            judged = set(rows(connection, "SELECT DISTINCT table_name FROM lakegate.check_results"))
            self.assertIn(("silver.orders",), judged)
        with self.server.as_user("ann") as connection:
            judged = set(rows(connection, "SELECT DISTINCT table_name FROM lakegate.check_results"))
            self.assertEqual(judged, {("silver.orders",)})
        # What lou may read is what lou may read of.
        with self.server.as_user("lou") as connection:
            self.assertLessEqual(judged, set(rows(connection, "SELECT DISTINCT table_name FROM lakegate.check_results")))

    def test_statements_of_others_are_not_fetched(self) -> None:
        with self.server.as_user("adam") as connection, connection.cursor() as cursor:
            parts, _ = cursor.adbc_execute_partitions("SELECT * FROM gold.totals")
        with self.server.as_user("ann") as connection, connection.cursor() as cursor:
            with self.assertRaisesRegex(dbapi.Error, "somebody else"):
                cursor.adbc_read_partition(parts[0])
                cursor.fetchall()

    def test_what_is_taken_away_ends_sessions(self) -> None:
        token = expect(lakegate("user", "token", "lou", "--name", "brief")).strip()
        PASSWORDS["tim"] = "some password"
        add("tim", "reader")
        with self.server.connect(**{HEADER: f"Bearer {token}"}) as by_token, self.server.as_user("tim") as tim:
            self.assertEqual(rows(by_token, "SELECT 1"), [(1,)])
            self.assertEqual(rows(tim, "SELECT 1"), [(1,)])
            expect(lakegate("user", "revoke", "lou", "brief"))
            expect(lakegate("user", "remove", "tim"))
            for connection in (by_token, tim):
                self.refused(dbapi.Error, connection, "SELECT 1", "connect again")

    def test_commands_say_what_is_wrong(self) -> None:
        for arguments, stdin, words in (
            (("add", "ann", "--role", "reader", "--password-stdin"), "long enough\n", "there is a user `ann` already"),
            (("add", "new", "--role", "analist", "--password-stdin"), "long enough\n", "did you mean `analyst`?"),
            (("add", "new", "--role", "reader", "--password-stdin"), "short\n", "8 letters at least"),
            (("add", "new", "--role", "reader"), "", "--password-stdin"),
            (("add", "a:b", "--role", "reader", "--no-password"), "", "cannot be the name of a user"),
            (("password", "eve", "--password-stdin"), "long enough\n", "there is no user `eve`"),
            (("revoke", "ann", "none"), "", "no token `none`"),
        ):
            ran = lakegate("user", *arguments, stdin=stdin)
            self.assertEqual(ran.returncode, 2, ran)
            self.assertIn(words, ran.stderr)
        listed = {user["name"]: user for user in json.loads(expect(lakegate("--format", "json", "user", "list")))}
        self.assertEqual(listed["ann"]["roles"], ["analyst"])
        self.assertTrue(listed["ann"]["has_password"])

    def test_users_that_are_missing_let_nobody_in(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "lakegate.yaml").write_text("version: 1\nproject: test\n")
            (pathlib.Path(folder) / "users.json").symlink_to("not-mounted")
            command = [BINARY, "-C", folder, "serve", "--flight", "127.0.0.1:0", "--http", "127.0.0.1:0"]
            # A server that lets anyone in goes on.
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
            self.assertEqual(ran.returncode, 2, ran)
            self.assertIn("there are no users", ran.stderr)

    def test_who_is_denied_is_audited(self) -> None:
        with self.server.as_user("ann") as connection:
            self.refused(dbapi.Error, connection, "DELETE FROM silver.orders", "may not")
            self.refused(dbapi.Error, connection, "SELECT * FROM gold.totals", "does not exist")
        with self.assertRaises(dbapi.Error):
            self.server.as_user("mallory", "wrong password")
        server = Server()
        server.stop()
        # Records reach the table within a minute, or when a server stops.
        audited = []
        while not audited:
            other = Server()
            other.stop()
            with self.server.as_user("adam") as connection:
                audited = rows(connection, "SELECT DISTINCT principal, action, object FROM lakegate.audit WHERE peer IS NOT NULL") if (
                    "lakegate.audit" in tables(connection)
                ) else []
        for denied in (("ann", "write", "silver.orders"), ("ann", "read", "gold.totals"), ("mallory", "log_in", None)):
            self.assertIn(denied, audited)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.authority, clients = trustme.CA(), trustme.CA()
        cls.folder = PROJECT / "certificates"
        cls.folder.mkdir(exist_ok=True)
        cls.write_server_certificate()
        cls.authority.cert_pem.write_to_path(str(cls.path("authority.pem")))
        clients.cert_pem.write_to_path(str(cls.path("clients.pem")))
        for name in ("ann", "nobody"):
            issued = clients.issue_cert(f"{name}@example.org", common_name=name)
            issued.private_key_pem.write_to_path(str(cls.path(f"{name}.key")))
            issued.cert_chain_pems[0].write_to_path(str(cls.path(f"{name}.pem")))
        if not (PROJECT / "users.json").exists():
            (PROJECT / "roles.yaml").write_text(ROLES)
        names = [user["name"] for user in json.loads(expect(lakegate("--format", "json", "user", "list")))]
        if "ann" not in names:
            add("ann", "analyst")

    @classmethod
    def path(cls, name: str) -> pathlib.Path:
        return cls.folder / name

    @classmethod
    def write_server_certificate(cls) -> None:
        issued = cls.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(str(cls.path("server.key")))
        issued.cert_chain_pems[0].write_to_path(str(cls.path("server.pem")))

    def serve(self, *arguments: str) -> Server:
        files = ("--tls-cert", str(self.path("server.pem")), "--tls-key", str(self.path("server.key")))
        server = Server(*files, *arguments)
        self.addCleanup(server.stop)
        return server

    def text(self, name: str) -> str:
        return self.path(name).read_text()

    def connect(self, server: Server, **options: str):
        return server.connect("grpc+tls", **{OPTIONS.TLS_ROOT_CERTS.value: self.text("authority.pem"), **options})

    def certificate(self, name: str) -> dict[str, str]:
        return {
            OPTIONS.MTLS_CERT_CHAIN.value: self.text(f"{name}.pem"),
            OPTIONS.MTLS_PRIVATE_KEY.value: self.text(f"{name}.key"),
        }

    def test_both_doors_are_encrypted(self) -> None:
        server = self.serve()
        with self.connect(server, username="ann", password=PASSWORDS["ann"]) as connection:
            self.assertEqual(rows(connection, "SELECT count(*) FROM silver.orders"), [(100,)])
        context = ssl.create_default_context(cafile=str(self.path("authority.pem")))
        with urllib.request.urlopen(f"https://{server.http}/health", context=context) as answer:
            self.assertEqual(answer.read(), b"ok\n")
        with self.assertRaises(dbapi.Error):
            server.as_user("ann")
        # Clients that never agree on a key hold up no other.
        host, port = server.flight.split(":")
        silent = [socket.create_connection((host, int(port))) for _ in range(100)]
        with self.connect(server, username="ann", password=PASSWORDS["ann"]) as connection:
            self.assertEqual(rows(connection, "SELECT 1"), [(1,)])
        for connection in silent:
            connection.close()

    def test_certificates_say_who_somebody_is(self) -> None:
        server = self.serve("--tls-client-ca", str(self.path("clients.pem")))
        with self.connect(server, **self.certificate("ann")) as connection:
            self.assertEqual(rows(connection, "SELECT count(*) FROM silver.orders"), [(100,)])
            with self.assertRaisesRegex(dbapi.Error, "`ann` may not write"):
                rows(connection, "DELETE FROM silver.orders")
        with self.assertRaisesRegex(dbapi.Error, "names no user"):
            with self.connect(server, **self.certificate("nobody")) as connection:
                rows(connection, "SELECT 1")
        with self.assertRaises(dbapi.Error):
            with self.connect(server, username="ann", password=PASSWORDS["ann"]) as connection:
                rows(connection, "SELECT 1")

    def test_certificates_are_read_anew(self) -> None:
        server = self.serve()

        def serial() -> int:
            pem = ssl.get_server_certificate(tuple(server.http.split(":")))
            return hash(pem)

        before = serial()
        self.write_server_certificate()
        while serial() == before:
            pass

    def test_other_machines_need_tls_and_users(self) -> None:
        open_to_all = ("serve", "--flight", "0.0.0.0:0", "--http", "127.0.0.1:0")
        ran = lakegate(*open_to_all)
        self.assertEqual(ran.returncode, 2)
        self.assertIn("without TLS", ran.stderr)
        files = ("--tls-cert", str(self.path("server.pem")), "--tls-key", str(self.path("ann.key")))
        ran = lakegate(*open_to_all, *files)
        self.assertEqual(ran.returncode, 2)
        self.assertIn("does not hold a certificate of that key", ran.stderr)
        files = ("--tls-cert", str(self.path("server.pem")), "--tls-key", str(self.path("server.key")))
        process = subprocess.Popen(
            [BINARY, "-C", str(PROJECT), *open_to_all, *files], stdout=subprocess.PIPE, text=True
        )
        self.assertTrue(json.loads(process.stdout.readline())["ready"])
        process.terminate()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    suite.run()
