//! Plans and settings without what they say of the machine: of the paths of files, clients see the names, and of the
//! folder for spilled rows nothing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use futures::StreamExt;

/// The table of settings.
const SETTINGS: &str = "df_settings";

/// What the names of data files end with.
const DATA_FILE: &str = ".parquet";

/// DataFusion's planner; the plans that an EXPLAIN shows name files without their folders.
#[derive(Debug)]
pub(crate) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::default();
        let physical = planner.create_physical_plan(plan, session).await?;
        Ok(match plan {
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => {
                Arc::new(WithoutFolders { input: physical })
            }
            _ => physical,
        })
    }
}

/// Takes the folder for spilled rows out of the settings that are shown.
#[derive(Debug)]
pub(crate) struct SettingsWithoutFolders;

/// The setting that names the folder for spilled rows.
const FOLDER_SETTING: &str = "datafusion.runtime.temp_directory";

impl AnalyzerRule for SettingsWithoutFolders {
    fn name(&self) -> &'static str {
        "settings_without_folders"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let shown = plan.transform_up_with_subqueries(|plan| {
            let LogicalPlan::TableScan(scan) = &plan else {
                return Ok(Transformed::no(plan));
            };
            let name = &scan.table_name;
            if name.schema() != Some(INFORMATION_SCHEMA) || name.table() != SETTINGS {
                return Ok(Transformed::no(plan));
            }
            let shown = Expr::Column(Column::new(Some(name.clone()), "name"));
            let shown = shown.not_eq(lit(FOLDER_SETTING));
            let rows = LogicalPlanBuilder::from(plan).filter(shown)?.build()?;
            Ok(Transformed::yes(rows))
        });
        Ok(shown?.data)
    }
}

#[derive(Debug)]
struct WithoutFolders {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for WithoutFolders {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithoutFolders")
    }
}

impl ExecutionPlan for WithoutFolders {
    fn name(&self) -> &'static str {
        "WithoutFolders"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match children.pop() {
            Some(input) => Arc::new(Self { input }),
            None => self,
        })
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let schema = rows.schema();
        let rows = rows.map(|batch| {
            let batch = batch?;
            let columns = batch.columns().iter().map(of_column);
            Ok(RecordBatch::try_new(batch.schema(), columns.collect())?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn of_column(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>().iter();
            let texts: StringArray = texts.map(|text| text.map(without_folders)).collect();
            Arc::new(texts)
        }
        _ => Arc::clone(column),
    }
}

/// The text, with paths of data files cut to their names.
///
/// Folders may have any characters in their names, brackets, commas and spaces too: in a list of files a path begins
/// where the list does, or where the path before it ends.
fn without_folders(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(FILES) {
        let (before, files) = rest.split_at(start + FILES.len());
        short.push_str(&without_folders_of_words(before));
        rest = files;
        while let Some((path, after)) = next_file(rest) {
            let separator = SEPARATORS.iter().find(|s| path.starts_with(**s));
            short.push_str(separator.unwrap_or(&""));
            let folder = path.rfind('/');
            let name = folder.map(|slash| &path[slash + 1..]);
            let whole = &path[separator.map_or(0, |separator| separator.len())..];
            short.push_str(name.unwrap_or(whole));
            rest = after;
        }
    }
    short.push_str(&without_folders_of_words(rest));
    short
}

/// What a list of groups of files begins with.
const FILES: &str = ": [[";

/// What stands between two files of a list, or two groups of them.
const SEPARATORS: &[&str] = &["], [", ", "];

/// The next file in a list, with what stands before it, and what follows.
fn next_file(files: &str) -> Option<(&str, &str)> {
    // The list may be cut off, and other lists follow on other lines.
    let line = files.split('\n').next().unwrap_or_default();
    if line.starts_with("]]") {
        return None;
    }
    let mut from = 0;
    while let Some(found) = line[from..].find(DATA_FILE) {
        let end = from + found + DATA_FILE.len();
        let after = &line[end..];
        if after.starts_with([':', ',', ']']) {
            return Some(files.split_at(end + range_bytes(after)));
        }
        from = end;
    }
    None
}

/// The length of the part of a file that is read (`:0..9`), where that is said.
fn range_bytes(text: &str) -> usize {
    let Some(range) = text.strip_prefix(':') else {
        return 0;
    };
    let is_range = |c: char| c.is_ascii_digit() || c == '.';
    1 + range.find(|c| !is_range(c)).unwrap_or(range.len())
}

/// As [`without_folders`], outside of lists of files.
fn without_folders_of_words(text: &str) -> String {
    // Not at spaces, which folders may have in their names.
    let is_end = |c: char| matches!(c, '\n' | '[' | ']' | ',' | '(' | ')' | '\'' | '"');
    let mut short = String::with_capacity(text.len());
    for word in text.split_inclusive(is_end) {
        let path = word.find(DATA_FILE).map(|end| &word[..end]);
        let folder = path.and_then(|path| path.rfind('/'));
        short.push_str(&word[folder.map_or(0, |slash| slash + 1)..]);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn paths_of_data_files_are_cut_to_their_names() {
        for (text, short) in [
            (
                "file_groups={2 groups: [[home/me/my lake/t/d=1/a.parquet:0..9], [home/b.zstd.parquet]]}",
                "file_groups={2 groups: [[a.parquet:0..9], [b.zstd.parquet]]}",
            ),
            (
                "file_groups={2 groups: [[srv/a, (b) [c]/t/d=1/a.parquet, srv/a, (b) [c]/t/b.parquet:0..9], [srv/a, (b) [c]/t/c.parquet:9..10, ...]]}, projection=[a, b]",
                "file_groups={2 groups: [[a.parquet, b.parquet:0..9], [c.parquet:9..10, ...]]}, projection=[a, b]",
            ),
            (
                "{1 group: [[a, b.parquet/t/a.parquet]]}\n{1 group: [[b, c/b.parquet]]}",
                "{1 group: [[a.parquet]]}\n{1 group: [[b.parquet]]}",
            ),
            ("x: [[1, 2]]", "x: [[1, 2]]"),
            ("a / b", "a / b"),
            ("", ""),
        ] {
            assert_eq!(without_folders(text), short);
        }
    }

    #[tokio::test]
    async fn settings_name_no_folder_of_the_server() {
        let fixture = Fixture::new().await;
        let folder = fixture.spill_folder();
        for sql in [
            "SHOW ALL",
            "SELECT * FROM information_schema.df_settings",
            "SELECT value FROM lakegate.information_schema.df_settings AS s WHERE s.name LIKE '%'",
            "SELECT (SELECT max(value) FROM information_schema.df_settings WHERE name = 'datafusion.runtime.temp_directory') AS v",
            "SHOW datafusion.runtime.temp_directory",
        ] {
            let answer = fixture.answer(sql).await.expect(sql);
            assert!(!answer.contains(&folder), "{sql}: {answer}");
        }
        let settings = fixture.answer("SHOW ALL").await.unwrap();
        assert!(
            settings.contains("datafusion.runtime.memory_limit"),
            "{settings}"
        );
    }

    #[tokio::test]
    async fn plan_names_no_folder_of_the_server() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&["CREATE TABLE t (a BIGINT)", "INSERT INTO t VALUES (1), (2)"])
            .await;
        for sql in [
            "EXPLAIN SELECT * FROM t WHERE a > 1",
            "EXPLAIN VERBOSE SELECT * FROM t WHERE a > 1",
            "EXPLAIN ANALYZE SELECT * FROM t WHERE a > 1",
            "EXPLAIN ANALYZE VERBOSE SELECT * FROM t WHERE a > 1",
            "EXPLAIN FORMAT TREE SELECT * FROM t WHERE a > 1",
        ] {
            let answer = fixture.answer(sql).await.expect(sql);
            assert!(!answer.contains("warehouse"), "{sql}: {answer}");
        }
        let answer = fixture.answer("EXPLAIN SELECT * FROM t").await.unwrap();
        assert!(answer.contains(".parquet"), "{answer}");
    }
}
