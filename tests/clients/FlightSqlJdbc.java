import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Properties;

/**
 * Talks to a Flight SQL door as tools with JDBC do, and says as JSON how many of its tests passed.
 *
 * <p>The project behind the door is that of {@code tests/it/orders.rs}, with its first delivery.
 */
public final class FlightSqlJdbc {
  private interface Test {
    void run(Connection connection) throws Exception;
  }

  private static int passed = 0;
  private static final List<String> failed = new ArrayList<>();
  private static String address;

  public static void main(String[] arguments) throws Exception {
    address = arguments[0];
    test("queries give rows", FlightSqlJdbc::queries);
    test("values are bound", FlightSqlJdbc::binds);
    test("times and what is cast are bound", FlightSqlJdbc::bindsTimesAndWhatIsCast);
    test("numbers of rows are bound", FlightSqlJdbc::bindsNumbersOfRows);
    test("catalogs, schemas, tables, columns and types are listed", FlightSqlJdbc::lists);
    test("the server says what it can do", FlightSqlJdbc::describesItself);
    test("tables are made, filled and dropped", FlightSqlJdbc::changes);
    test("the gate refuses", FlightSqlJdbc::isRefused);
    test("mistakes are named", FlightSqlJdbc::mistakes);
    test("a login gives a session", FlightSqlJdbc::logsIn);
    test("a catalog can be set", FlightSqlJdbc::setsCatalog);
    failed.forEach(System.err::println);
    System.out.println("{\"passed\": " + passed + "}");
    System.out.flush();
    System.exit(failed.isEmpty() ? 0 : 1);
  }

  private static Connection connect(String... options) throws SQLException {
    Properties properties = new Properties();
    properties.put("useEncryption", "false");
    for (int at = 0; at < options.length; at += 2) {
      properties.put(options[at], options[at + 1]);
    }
    return DriverManager.getConnection("jdbc:arrow-flight-sql://" + address, properties);
  }

  private static void test(String name, Test test) {
    try (Connection connection = connect()) {
      test.run(connection);
      passed += 1;
    } catch (Throwable error) {
      StringBuilder text = new StringBuilder(name + ": " + error);
      for (StackTraceElement element : error.getStackTrace()) {
        if (element.getClassName().startsWith("FlightSqlJdbc")) {
          text.append("\n    at ").append(element);
        }
      }
      for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
        text.append("\n    caused by ").append(cause);
      }
      failed.add(text.toString());
    }
  }

  private static void expect(Object expected, Object actual) {
    if (!Objects.equals(expected, actual)) {
      throw new AssertionError("expected " + expected + ", got " + actual);
    }
  }

  private static void expectError(Connection connection, String sql, String... words) throws Exception {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException error) {
      StringBuilder text = new StringBuilder();
      for (Throwable cause = error; cause != null; cause = cause.getCause()) {
        text.append(cause.getMessage()).append('\n');
      }
      for (String word : words) {
        if (!text.toString().contains(word)) {
          throw new AssertionError("`" + word + "` is not in: " + text);
        }
      }
      return;
    }
    throw new AssertionError("no error: " + sql);
  }

  private static List<String> column(ResultSet rows, String name) throws SQLException {
    List<String> values = new ArrayList<>();
    try (rows) {
      while (rows.next()) {
        values.add(rows.getString(name));
      }
    }
    return values;
  }

  private static void queries(Connection connection) throws Exception {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(
            "SELECT id, customer, amount, day FROM silver.orders WHERE id <= 2 ORDER BY id")) {
      ResultSetMetaData columns = rows.getMetaData();
      expect(4, columns.getColumnCount());
      expect("customer", columns.getColumnName(2));
      expect(java.sql.Types.BIGINT, columns.getColumnType(1));
      expect(java.sql.Types.VARCHAR, columns.getColumnType(2));
      expect(java.sql.Types.DECIMAL, columns.getColumnType(3));
      expect(java.sql.Types.DATE, columns.getColumnType(4));
      expect(true, rows.next());
      expect(1L, rows.getLong(1));
      expect("c1", rows.getString(2));
      expect(new BigDecimal("1.50"), rows.getBigDecimal(3));
      expect("2024-01-01", rows.getDate(4).toString());
      expect(true, rows.next());
      expect(false, rows.next());
    }
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT count(*), CAST(NULL AS INT) FROM silver.orders")) {
      expect(true, rows.next());
      expect(100, rows.getInt(1));
      rows.getInt(2);
      expect(true, rows.wasNull());
    }
  }

  private static void binds(Connection connection) throws Exception {
    String sql = "SELECT count(*) FROM silver.orders WHERE customer = ? AND id <= ? AND day >= ?";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      for (long[] limits : new long[][] {{50, 8}, {49, 7}}) {
        statement.setString(1, "c1");
        statement.setLong(2, limits[0]);
        statement.setDate(3, Date.valueOf("2024-01-01"));
        try (ResultSet rows = statement.executeQuery()) {
          expect(true, rows.next());
          expect(limits[1], rows.getLong(1));
        }
      }
    }
  }

  private static void bindsTimesAndWhatIsCast(Connection connection) throws Exception {
    String sql = "SELECT CAST(? AS TIMESTAMP) = TIMESTAMP '2024-03-10 12:30:00.5', CAST(? AS BIGINT) + 1";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setTimestamp(1, Timestamp.from(Instant.parse("2024-03-10T12:30:00.5Z")));
      statement.setLong(2, 5);
      try (ResultSet rows = statement.executeQuery()) {
        expect(true, rows.next());
        expect(true, rows.getBoolean(1));
        expect(6L, rows.getLong(2));
      }
    }
    sql = "SELECT count(*) FROM lakegate.runs WHERE started_at BETWEEN ? AND ?";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setTimestamp(1, Timestamp.from(Instant.parse("2020-01-01T00:00:00Z")));
      statement.setTimestamp(2, Timestamp.from(Instant.parse("2100-01-01T00:00:00Z")));
      try (ResultSet rows = statement.executeQuery()) {
        expect(true, rows.next());
        expect(true, rows.getLong(1) > 0);
      }
    }
  }

  private static void bindsNumbersOfRows(Connection connection) throws Exception {
    String sql = "SELECT id FROM silver.orders ORDER BY id LIMIT ? OFFSET ?";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setInt(1, 2);
      statement.setLong(2, 5);
      expect(List.of("6", "7"), column(statement.executeQuery(), "id"));
    }
  }

  private static void lists(Connection connection) throws Exception {
    DatabaseMetaData metadata = connection.getMetaData();
    expect(List.of("lakegate"), column(metadata.getCatalogs(), "TABLE_CAT"));
    List<String> schemas = column(metadata.getSchemas(), "TABLE_SCHEM");
    expect(true, schemas.containsAll(List.of("gold", "information_schema", "lakegate", "silver")));
    expect(List.of("silver"), column(metadata.getSchemas("lakegate", "silv%"), "TABLE_SCHEM"));
    expect(List.of("orders"), column(metadata.getTables(null, "silver", "%", null), "TABLE_NAME"));
    expect(List.of("orders"),
        column(metadata.getTables("lakegate", "silver", "ord%", new String[] {"TABLE"}), "TABLE_NAME"));
    expect(List.of(), column(metadata.getTables(null, "silver", "%", new String[] {"VIEW"}), "TABLE_NAME"));
    expect(List.of("SYSTEM TABLE", "TABLE", "VIEW"), column(metadata.getTableTypes(), "TABLE_TYPE"));
    expect(List.of("id", "customer", "amount", "day"),
        column(metadata.getColumns(null, "silver", "orders", null), "COLUMN_NAME"));
    expect(List.of("bigint", "string", "decimal(12,2)", "date"),
        column(metadata.getColumns(null, "silver", "orders", null), "TYPE_NAME"));
    expect(List.of("2"), column(metadata.getColumns(null, "silver", "orders", "amount"), "DECIMAL_DIGITS"));
    expect(List.of(), column(metadata.getPrimaryKeys(null, "silver", "orders"), "COLUMN_NAME"));
    expect(List.of(), column(metadata.getImportedKeys(null, "silver", "orders"), "FKCOLUMN_NAME"));
    expect(List.of(), column(metadata.getExportedKeys(null, "silver", "orders"), "FKCOLUMN_NAME"));
  }

  private static void describesItself(Connection connection) throws Exception {
    DatabaseMetaData metadata = connection.getMetaData();
    expect("Lakegate", metadata.getDatabaseProductName());
    expect("\"", metadata.getIdentifierQuoteString());
    expect("schema", metadata.getSchemaTerm());
    expect("catalog", metadata.getCatalogTerm());
    expect(false, metadata.isReadOnly());
    expect(true, metadata.supportsANSI92EntryLevelSQL());
    expect(false, metadata.supportsANSI92FullSQL());
    expect(true, metadata.supportsFullOuterJoins());
    expect(true, metadata.supportsUnionAll());
    expect(true, metadata.supportsCorrelatedSubqueries());
    expect(true, metadata.supportsConvert(java.sql.Types.INTEGER, java.sql.Types.VARCHAR));
    expect(false, metadata.supportsTransactions());
    expect(true, metadata.getNumericFunctions().contains("abs"));
    expect(true, metadata.getStringFunctions().contains("lower"));
    expect(true, metadata.getTimeDateFunctions().contains("date_trunc"));
    expect(true, metadata.getSQLKeywords().contains("SELECT"));
    expect(0, metadata.getMaxColumnsInTable());
    expect(1 << 20, metadata.getMaxStatementLength());
  }

  private static void changes(Connection connection) throws Exception {
    try (Statement statement = connection.createStatement()) {
      statement.executeUpdate("CREATE TABLE bronze.jdbc (id BIGINT, name VARCHAR)");
      expect(2, statement.executeUpdate("INSERT INTO bronze.jdbc VALUES (1, 'a'), (2, 'b')"));
      try (PreparedStatement insert = connection.prepareStatement("INSERT INTO bronze.jdbc VALUES (?, ?)")) {
        insert.setLong(1, 3);
        insert.setString(2, "c");
        expect(1, insert.executeUpdate());
      }
      try (ResultSet rows = statement.executeQuery("SELECT name FROM bronze.jdbc ORDER BY id")) {
        expect(List.of("a", "b", "c"), column(rows, "name"));
      }
      statement.executeUpdate("DROP TABLE bronze.jdbc");
    }
  }

  private static void isRefused(Connection connection) throws Exception {
    expectError(connection, "INSERT INTO silver.orders VALUES (500, NULL, 1.00, DATE '2024-01-04')",
        "refused", "customer/not_null");
  }

  private static void mistakes(Connection connection) throws Exception {
    expectError(connection, "SELECT custmer FROM silver.orders", "did you mean `customer`?");
    expectError(connection, "CREATE VIEW v AS SELECT 1", "`CREATE VIEW` is not supported");
  }

  private static void logsIn(Connection connection) throws Exception {
    try (Connection other = connect("user", "ann", "password", "secret")) {
      queries(other);
    }
  }

  private static void setsCatalog(Connection connection) throws Exception {
    Connection other = connect("catalog", "lakegate");
    queries(other);
    try {
      other.close();
    } catch (SQLException error) {
      // The driver closes such a session twice, and the connection between.
      expect(true, error.getMessage().contains("Channel shutdown"));
    }
  }
}
