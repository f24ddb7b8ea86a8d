//! Judges a file or a published table, outside of any pipeline.

mod infer;

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use lakegate_catalog::{At, CatalogError, JudgeError, TableName, TableSnapshot};
use lakegate_rules::{Report, Suite, Waiver};

use crate::extract::{self, OpenExtract};
use crate::judge::{Judged, baseline_of, file_keys, previous_of};
use crate::states::LakeParts;
use crate::{EtlError, Lakegate, records};

/// Judges a data file by a rule file. Its ending says what it is: `.csv`, `.tsv`, `.json`, `.jsonl` or `.ndjson`, also
/// packed (`.csv.gz`, `.csv.zst`, `.csv.zip`), or `.parquet`.
///
/// The columns of a text file get the types that fit their values in the first thousand rows, the first of `boolean`,
/// `bigint`, `double`, `date`, `timestamp_ntz` and `timestamp`; otherwise they are text. A later value that does not fit
/// is an error with its line: a `type` stage of a pipeline declares the types.
///
/// # Errors
/// When the file is not there or cannot be read.
pub async fn check_file(
    lakegate: &Lakegate,
    path: &Path,
    suite: &Suite,
) -> Result<Report, EtlError> {
    let rows = open(lakegate, path).await?;
    let name = match &suite.table {
        Some(name) => name.parse()?,
        None => TableName {
            schema: lakegate_catalog::DEFAULT_SCHEMA.to_owned(),
            table: "file".to_owned(),
        },
    };
    let judged = Judged {
        name,
        parts: None,
        collected: None,
        added: Some(Arc::clone(&rows)),
        rows,
        previous: None,
        baseline: None,
        baseline_parts: None,
        now: lakegate.now(),
    };
    let mut report = lakegate.judge().explained(suite, judged, Vec::new()).await;
    report.table = path.display().to_string();
    Ok(report)
}

/// Judges the newest version of a table, by a rule file or else by the rules that are attached to it.
///
/// The waivers of the table hold here too. What was measured of its files is stored with it, so that the next judgement
/// need not read them; the report says where each metric came from. The verdicts are kept in `lakegate.check_results`.
///
/// # Errors
/// When there is no such table, or when it has no rules and none are given.
pub async fn check_table(
    lakegate: &Lakegate,
    name: &TableName,
    suite: Option<Suite>,
) -> Result<Report, EtlError> {
    let snapshot = lakegate.catalog.snapshot(name, At::Latest).await?;
    let suite = match suite {
        Some(suite) => suite,
        None => attached(lakegate, name).await?,
    };
    let now = lakegate.now();
    let mut report = judge_version(lakegate, name, &snapshot, &suite, now).await?;
    report.apply_waivers(&waivers(lakegate, name).await?, now);
    records::record_report(lakegate, &report, snapshot.version).await?;
    Ok(report)
}

/// Judges a version of a table, and stores what was measured of its files.
pub(crate) async fn judge_version(
    lakegate: &Lakegate,
    name: &TableName,
    snapshot: &Arc<TableSnapshot>,
    suite: &Suite,
    now: DateTime<Utc>,
) -> Result<Report, EtlError> {
    let catalog = &lakegate.catalog;
    let before = snapshot.version - 1;
    let before = match before {
        0.. => match catalog.snapshot(name, At::Version(before)).await {
            Ok(before) => Some(before),
            // The table's log was cleaned up.
            Err(CatalogError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        _ => None,
    };
    let previous = match &before {
        Some(before) => previous_of(&lakegate.engine, suite, before).await?,
        None => None,
    };
    let unread = |error: JudgeError| EtlError::failed("the version before cannot be read", error);
    let baseline = baseline_of(suite, before.as_ref()).map_err(unread)?;
    let shelf = lakegate.judge().shelf(snapshot)?;
    let judged = Judged {
        name: name.clone(),
        rows: snapshot.scan()?,
        parts: LakeParts::of(snapshot, &shelf)?,
        collected: None,
        added: None,
        previous,
        baseline,
        baseline_parts: match &before {
            Some(before) if suite.needs_baseline() => LakeParts::of(before, &shelf)?,
            _ => None,
        },
        now,
    };
    let report = lakegate.judge().explained(suite, judged, Vec::new()).await;
    shelf.save_and_tidy(&file_keys(snapshot)).await;
    Ok(report)
}

async fn attached(lakegate: &Lakegate, name: &TableName) -> Result<Suite, EtlError> {
    match lakegate.catalog.attached_rules(name).await {
        Ok(Some(rules)) => Ok(Suite::parse(&rules.file, &rules.text)?),
        // Tables of other formats have no commits, and so no attached rules.
        Ok(None) | Err(CatalogError::Invalid { .. }) => Err(EtlError::request(
            format!("table `{name}` has no rules"),
            "name a rule file with `--rules FILE`, or attach one with `lakegate apply`".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

async fn waivers(lakegate: &Lakegate, name: &TableName) -> Result<Vec<Waiver>, EtlError> {
    let values = match lakegate.catalog.waivers(name).await {
        Ok(values) => values,
        Err(CatalogError::Invalid { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let read = |value| {
        serde_json::from_value(value).map_err(|error| {
            EtlError::failed(format!("a waiver of `{name}` cannot be read"), error)
        })
    };
    values.into_iter().map(read).collect()
}

/// The rows of a data file.
pub(crate) async fn open(
    lakegate: &Lakegate,
    path: &Path,
) -> Result<Arc<dyn TableProvider>, EtlError> {
    let shown = path.display().to_string();
    if path.is_dir() {
        return Err(EtlError::request(
            format!("`{shown}` is a folder"),
            "name one file, or a table of the catalog".to_owned(),
        ));
    }
    let file = path.to_owned();
    let name = shown.clone();
    let opened = tokio::task::spawn_blocking(move || OpenExtract::file(&file, &name)).await;
    let opened = opened.map_err(|error| EtlError::failed("reading was stopped", error))??;
    let Some(extract) = opened else {
        return Err(EtlError::request(
            format!("`{shown}` is of no known format"),
            "the ending says the format: csv, tsv, json, jsonl or ndjson, also packed as gz, zst or zip, or parquet".to_owned(),
        ));
    };
    let rows = extract.provider().await?;
    match extract::with_places(&rows) {
        Some(located) => infer::typed(lakegate, &shown, rows, located).await,
        None => Ok(rows),
    }
}
