"""Talks to a Flight SQL door with SQLAlchemy, and says as JSON how many tests passed.

The project behind the door is that of `tests/it/orders.rs`, with its first delivery.
"""

import decimal
import sys
import unittest
import warnings

import sqlalchemy
from sqlalchemy import BigInteger, Column, Numeric, String, orm, select, text

import suite

ADDRESS = sys.argv[1]

# The server has no transactions, and says so.
warnings.filterwarnings("ignore", message="Cannot disable autocommit")


class SqlAlchemy(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = sqlalchemy.create_engine(f"adbc+flightsql://{ADDRESS}/?tls=false")
        self.addCleanup(self.engine.dispose)

    def rows(self, statement, values=None) -> list:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(statement, values).all()]

    def test_catalog_is_inspected(self) -> None:
        inspector = sqlalchemy.inspect(self.engine)
        self.assertIn("silver", inspector.get_schema_names())
        self.assertTrue(inspector.has_table("orders", schema="silver"))
        self.assertFalse(inspector.has_table("nothing", schema="silver"))
        columns = inspector.get_columns("orders", schema="silver")
        self.assertEqual([column["name"] for column in columns], ["id", "customer", "amount", "day"])
        self.assertIsInstance(columns[0]["type"], BigInteger)
        self.assertIsInstance(columns[2]["type"], Numeric)
        self.assertEqual(inspector.get_pk_constraint("orders", schema="silver")["constrained_columns"], [])
        # The page says so; when the dialect finds them, the page is to change.
        self.assertEqual(inspector.get_table_names(schema="silver"), [])

    def test_values_are_bound_and_never_sql(self) -> None:
        sql = text("SELECT count(*) FROM silver.orders WHERE customer = :customer AND id <= :most")
        self.assertEqual(self.rows(sql, {"customer": "c1", "most": 50}), [(8,)])
        self.assertEqual(self.rows(sql, {"customer": "c1' OR '1'='1", "most": 50}), [(0,)])
        orders = sqlalchemy.Table("orders", sqlalchemy.MetaData(), schema="silver", autoload_with=self.engine)
        found = select(orders.c.id).where(orders.c.id.in_([3, 1, 2])).order_by(orders.c.id.desc()).limit(2).offset(1)
        self.assertEqual(self.rows(found), [(2,), (1,)])

    def test_objects_are_read(self) -> None:
        class Base(orm.DeclarativeBase):
            pass

        class Order(Base):
            __tablename__ = "orders"
            __table_args__ = {"schema": "silver"}
            id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
            customer: orm.Mapped[str]
            amount: orm.Mapped[decimal.Decimal] = orm.mapped_column(Numeric(12, 2))

        with orm.Session(self.engine) as session:
            order = session.scalars(select(Order).where(Order.id == 1)).one()
            self.assertEqual((order.customer, order.amount), ("c1", decimal.Decimal("1.50")))
        with self.assertRaises(sqlalchemy.exc.NotSupportedError) as raised:
            Base.metadata.schema = "bronze"
            sqlalchemy.Table("keyed", Base.metadata, Column("id", BigInteger, primary_key=True)).create(self.engine)
        self.assertIn("`NOT NULL`", str(raised.exception))

    def test_tables_are_changed(self) -> None:
        table = sqlalchemy.Table(
            "alchemy", sqlalchemy.MetaData(), Column("id", BigInteger), Column("name", String),
            Column("price", Numeric(10, 2)), schema="bronze",
        )
        table.create(self.engine)
        with self.engine.begin() as connection:
            some = [{"id": 1, "name": "a", "price": None}, {"id": 2, "name": "b", "price": 2}]
            self.assertEqual(connection.execute(table.insert(), some).rowcount, 2)
            connection.execute(table.insert().values(id=3, name="c", price=decimal.Decimal("1.25")))
            connection.execute(table.delete().where(table.c.id == 1))
            connection.rollback()
        # Nothing was taken back.
        rows = self.rows(select(table).order_by(table.c.id))
        self.assertEqual(rows, [(2, "b", decimal.Decimal("2.00")), (3, "c", decimal.Decimal("1.25"))])
        # Many rows of values came in one commit.
        self.assertEqual(self.rows(text("SELECT count(*) FROM bronze.alchemy VERSION AS OF 1")), [(2,)])
        table.drop(self.engine)

    def test_mistakes_are_named(self) -> None:
        with self.assertRaises(sqlalchemy.exc.ProgrammingError) as raised:
            self.rows(text("SELECT custmer FROM silver.orders"))
        self.assertIn("did you mean `customer`?", str(raised.exception))
        with self.assertRaises(sqlalchemy.exc.DBAPIError) as raised:
            self.rows(text("INSERT INTO silver.orders VALUES (500, NULL, 1.00, DATE '2024-01-04')"))
        self.assertIn("customer/not_null", str(raised.exception))


if __name__ == "__main__":
    suite.run()
