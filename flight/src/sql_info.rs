//! What the server says of itself and of its SQL: `GetSqlInfo`.
//!
//! Drivers read each value as one type, and some fail over a value that is missing: the list is whole, but for the default
//! isolation of transactions, which drivers and protocol take for different types.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedGroupBy, SqlSupportedResultSetConcurrency, SqlSupportedResultSetType,
    SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions, SqlSupportsConvert,
    SqlTransactionIsolationLevel, SupportedSqlGrammar,
};
use datafusion::arrow::array::{Array, AsArray, MapArray, RecordBatch, StructArray, UnionArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
use lakegate_engine::Engine;
use tonic::Status;

use crate::status;

/// The version of Arrow's format that is spoken.
const ARROW_VERSION: &str = "1.5";

/// Bytes of the longest SQL that is taken.
pub(crate) const MOST_SQL_BYTES: usize = 1 << 20;

/// Every value that is known.
pub(crate) static ALL: LazyLock<Result<SqlInfoData, String>> =
    LazyLock::new(|| build().map_err(|error| error.to_string()));

/// The values with these names; all when none is named.
pub(crate) fn values(names: &[u32]) -> Result<RecordBatch, Status> {
    let all = ALL.as_ref();
    let all = all.map_err(|error| status::bug("`GetSqlInfo` has no values", error))?;
    let values = all.record_batch(names.iter().copied());
    let values = values.map_err(status::of_flight)?;
    with_named_entries(&values).map_err(status::of_arrow)
}

/// The values, with the entries of maps named as Arrow names them: Java finds none by other names.
fn with_named_entries(values: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let DataType::Union(fields, _) = values.column(1).data_type().clone() else {
        return Ok(values.clone());
    };
    let (_, types, offsets, mut children) = values.column(1).as_union().clone().into_parts();
    let mut named = Vec::new();
    for ((id, field), child) in std::iter::zip(fields.iter(), &mut children) {
        let mut field = field.as_ref().clone();
        if let Some(map) = child.as_map_opt() {
            let (_, offsets, entries, nulls, is_sorted) = map.clone().into_parts();
            let (columns, arrays, entry_nulls) = entries.into_parts();
            let names = columns.iter().zip(["key", "value"]);
            let columns = names.map(|(column, name)| column.as_ref().clone().with_name(name));
            let entries = StructArray::try_new(columns.collect(), arrays, entry_nulls)?;
            let entry = Field::new("entries", entries.data_type().clone(), false);
            let map = MapArray::try_new(Arc::new(entry), offsets, entries, nulls, is_sorted)?;
            field = field.with_data_type(map.data_type().clone());
            *child = Arc::new(map);
        }
        named.push((id, Arc::new(field)));
    }
    let union = UnionArray::try_new(named.into_iter().collect(), types, offsets, children)?;
    let schema = values.schema();
    let value = schema
        .field(1)
        .clone()
        .with_data_type(union.data_type().clone());
    let schema = Schema::new(vec![schema.field(0).clone(), value]);
    let names = Arc::clone(values.column(0));
    RecordBatch::try_new(Arc::new(schema), vec![names, Arc::new(union)])
}

/// A bit for each value of an enumeration.
fn bits(values: &[i32]) -> i32 {
    values.iter().fold(0, |bits, value| bits | (1 << value))
}

fn build() -> Result<SqlInfoData, arrow_flight::error::FlightError> {
    use SqlInfo as Info;

    let mut all = SqlInfoDataBuilder::new();
    all.append(Info::FlightSqlServerName, "Lakegate");
    all.append(Info::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    all.append(Info::FlightSqlServerArrowVersion, ARROW_VERSION);
    all.append(Info::FlightSqlServerReadOnly, false);
    all.append(Info::FlightSqlServerSql, true);
    all.append(Info::FlightSqlServerSubstrait, false);
    all.append(Info::FlightSqlServerSubstraitMinVersion, "");
    all.append(Info::FlightSqlServerSubstraitMaxVersion, "");
    all.append(
        Info::FlightSqlServerTransaction,
        SqlSupportedTransaction::None as i32,
    );
    all.append(Info::FlightSqlServerCancel, true);
    all.append(Info::FlightSqlServerBulkIngestion, true);
    all.append(Info::FlightSqlServerIngestTransactionsSupported, false);
    all.append(Info::FlightSqlServerStatementTimeout, 0_i32);
    all.append(Info::FlightSqlServerTransactionTimeout, 0_i32);

    all.append(Info::SqlDdlCatalog, false);
    all.append(Info::SqlDdlSchema, false);
    all.append(Info::SqlDdlTable, true);
    let insensitive = SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32;
    let lower = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32;
    all.append(Info::SqlIdentifierCase, lower);
    all.append(Info::SqlIdentifierQuoteChar, "\"");
    all.append(Info::SqlQuotedIdentifierCase, insensitive);
    all.append(Info::SqlAllTablesAreSelectable, true);
    all.append(
        Info::SqlNullOrdering,
        SqlNullOrdering::SqlNullsSortedHigh as i32,
    );
    all.append(Info::SqlKeywords, ALL_KEYWORDS);
    let functions = Functions::of_engine();
    all.append(Info::SqlNumericFunctions, functions.numeric);
    all.append(Info::SqlStringFunctions, functions.string);
    all.append(Info::SqlSystemFunctions, functions.system);
    all.append(Info::SqlDatetimeFunctions, functions.datetime);
    all.append(Info::SqlSearchStringEscape, "\\");
    all.append(Info::SqlExtraNameCharacters, "");
    all.append(Info::SqlSupportsColumnAliasing, true);
    all.append(Info::SqlNullPlusNullIsNull, true);
    all.append(Info::SqlSupportsConvert, conversions());
    all.append(Info::SqlSupportsTableCorrelationNames, true);
    all.append(Info::SqlSupportsDifferentTableCorrelationNames, false);
    all.append(Info::SqlSupportsExpressionsInOrderBy, true);
    all.append(Info::SqlSupportsOrderByUnrelated, true);
    let group_by = [
        SqlSupportedGroupBy::SqlGroupByUnrelated as i32,
        SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32,
    ];
    all.append(Info::SqlSupportedGroupBy, bits(&group_by));
    all.append(Info::SqlSupportsLikeEscapeClause, true);
    all.append(Info::SqlSupportsNonNullableColumns, false);
    let grammar = [
        SupportedSqlGrammar::SqlMinimumGrammar as i32,
        SupportedSqlGrammar::SqlCoreGrammar as i32,
        SupportedSqlGrammar::SqlExtendedGrammar as i32,
    ];
    all.append(Info::SqlSupportedGrammar, bits(&grammar));
    // Entry level: the first bit.
    all.append(Info::SqlAnsi92SupportedLevel, bits(&[0]));
    all.append(Info::SqlSupportsIntegrityEnhancementFacility, false);
    let joins = [
        SqlOuterJoinsSupportLevel::SqlLimitedOuterJoins as i32,
        SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
    ];
    all.append(Info::SqlOuterJoinsSupportLevel, bits(&joins));
    all.append(Info::SqlSchemaTerm, "schema");
    all.append(Info::SqlProcedureTerm, "");
    all.append(Info::SqlCatalogTerm, "catalog");
    all.append(Info::SqlCatalogAtStart, true);
    all.append(Info::SqlSchemasSupportedActions, 0_i32);
    all.append(Info::SqlCatalogsSupportedActions, 0_i32);
    all.append(Info::SqlSupportedPositionedCommands, 0_i32);
    all.append(Info::SqlSelectForUpdateSupported, false);
    all.append(Info::SqlStoredProceduresSupported, false);
    let subqueries = [
        SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
        SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
        SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
    ];
    all.append(Info::SqlSupportedSubqueries, bits(&subqueries));
    all.append(Info::SqlCorrelatedSubqueriesSupported, true);
    let unions = [
        SqlSupportedUnions::SqlUnion as i32,
        SqlSupportedUnions::SqlUnionAll as i32,
    ];
    all.append(Info::SqlSupportedUnions, bits(&unions));
    // Zero: no limit, or none that is known.
    for without_limit in [
        Info::SqlMaxBinaryLiteralLength,
        Info::SqlMaxCharLiteralLength,
        Info::SqlMaxColumnNameLength,
        Info::SqlMaxColumnsInGroupBy,
        Info::SqlMaxColumnsInIndex,
        Info::SqlMaxColumnsInOrderBy,
        Info::SqlMaxColumnsInSelect,
        Info::SqlMaxColumnsInTable,
        Info::SqlMaxConnections,
        Info::SqlMaxCursorNameLength,
        Info::SqlMaxIndexLength,
        Info::SqlDbSchemaNameLength,
        Info::SqlMaxProcedureNameLength,
        Info::SqlMaxCatalogNameLength,
        Info::SqlMaxRowSize,
        Info::SqlMaxStatements,
        Info::SqlMaxTableNameLength,
        Info::SqlMaxTablesInSelect,
        Info::SqlMaxUsernameLength,
    ] {
        all.append(without_limit, 0_i64);
    }
    all.append(Info::SqlMaxStatementLength, MOST_SQL_BYTES as i64);
    all.append(Info::SqlMaxRowSizeIncludesBlobs, true);
    all.append(Info::SqlTransactionsSupported, false);
    let isolation = bits(&[SqlTransactionIsolationLevel::SqlTransactionNone as i32]);
    all.append(Info::SqlSupportedTransactionsIsolationLevels, isolation);
    all.append(Info::SqlDataDefinitionCausesTransactionCommit, false);
    all.append(Info::SqlDataDefinitionsInTransactionsIgnored, true);
    let forward = SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32;
    all.append(Info::SqlSupportedResultSetTypes, bits(&[forward]));
    let read_only = SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32;
    for concurrency in [
        Info::SqlSupportedConcurrenciesForResultSetUnspecified,
        Info::SqlSupportedConcurrenciesForResultSetForwardOnly,
        Info::SqlSupportedConcurrenciesForResultSetScrollSensitive,
        Info::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
    ] {
        let is_offered = concurrency == Info::SqlSupportedConcurrenciesForResultSetForwardOnly;
        all.append(concurrency, if is_offered { bits(&[read_only]) } else { 0 });
    }
    all.append(Info::SqlBatchUpdatesSupported, false);
    all.append(Info::SqlSavepointsSupported, false);
    all.append(Info::SqlNamedParametersSupported, false);
    all.append(Info::SqlLocatorsUpdateCopy, false);
    all.append(Info::SqlStoredFunctionsUsingCallSyntaxSupported, false);
    all.build()
}

/// Which types a `CAST` takes from which to which.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert as Type;

    let numbers = [
        Type::SqlConvertBigint as i32,
        Type::SqlConvertDecimal as i32,
        Type::SqlConvertFloat as i32,
        Type::SqlConvertInteger as i32,
        Type::SqlConvertNumeric as i32,
        Type::SqlConvertReal as i32,
        Type::SqlConvertSmallint as i32,
        Type::SqlConvertTinyint as i32,
    ];
    let texts = [Type::SqlConvertChar as i32, Type::SqlConvertVarchar as i32];
    let times = [
        Type::SqlConvertDate as i32,
        Type::SqlConvertTimestamp as i32,
    ];
    let to_text = |from: &[i32]| [from, &texts].concat();
    let mut conversions = BTreeMap::new();
    for number in numbers {
        conversions.insert(number, to_text(&numbers));
    }
    for time in times {
        conversions.insert(time, to_text(&times));
    }
    for text in texts {
        conversions.insert(text, to_text(&[&numbers[..], &times].concat()));
    }
    conversions
}

/// The names of functions, by what clients sort them into.
struct Functions {
    numeric: Vec<String>,
    string: Vec<String>,
    system: Vec<String>,
    datetime: Vec<String>,
}

impl Functions {
    fn of_engine() -> Self {
        let mut functions = Self {
            numeric: Vec::new(),
            string: Vec::new(),
            system: Vec::new(),
            datetime: Vec::new(),
        };
        for (name, section) in Engine::functions() {
            let names = match section {
                Some("Math Functions") => &mut functions.numeric,
                Some("String Functions" | "Regular Expression Functions") => &mut functions.string,
                Some("Time and Date Functions") => &mut functions.datetime,
                _ => &mut functions.system,
            };
            names.push(name);
        }
        functions
    }
}
