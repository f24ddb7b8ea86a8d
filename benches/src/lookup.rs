//! A point look-up on a table whose snapshot is cached, against plain DataFusion over the same files.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use lakegate_catalog::{At, Catalog, CatalogOptions, TableName};
use lakegate_engine::{Engine, EngineOptions};
use url::Url;

use crate::{Result, median, publish};

/// Look-ups of each kind.
const LOOKUPS: usize = 200;

/// Compares look-ups of one order by its key.
pub(crate) async fn point_lookup(lakegate: &Path, data: &Path, scale: f64) -> Result<()> {
    let project = publish::published(lakegate, data, scale)?;
    let engine = engine_over(&project).await?;
    let catalog = engine.catalog();
    let name: TableName = "bench.lineitem".parse()?;
    let rows = catalog
        .snapshot(&name, At::Latest)
        .await?
        .row_count()
        .unwrap_or_default();

    #[expect(
        clippy::disallowed_methods,
        reason = "the rival is DataFusion as it comes"
    )]
    let plain = SessionContext::new_with_config(SessionConfig::new());
    plain
        .register_parquet(
            "lineitem",
            &project
                .join("warehouse/bench/lineitem")
                .display()
                .to_string(),
            ParquetReadOptions::default(),
        )
        .await?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for lookup in 0..LOOKUPS + 20 {
        let key = (lookup as u64 * 7_919 * 32) % (rows.max(1)) + 1;
        let columns = "l_orderkey, l_linenumber, l_quantity, l_extendedprice, l_shipdate";
        let started = Instant::now();
        let session = engine.session();
        session
            .sql(&format!(
                "SELECT {columns} FROM bench.lineitem WHERE l_orderkey = {key}"
            ))
            .await?
            .collect()
            .await?;
        let our_seconds = started.elapsed().as_secs_f64();
        let started = Instant::now();
        plain
            .sql(&format!(
                "SELECT {columns} FROM lineitem WHERE l_orderkey = {key}"
            ))
            .await?
            .collect()
            .await?;
        let their_seconds = started.elapsed().as_secs_f64();
        // The first few fill the caches of both.
        if lookup >= 20 {
            ours.push(our_seconds * 1_000.0);
            theirs.push(their_seconds * 1_000.0);
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "| point look-up, lineitem SF{scale}, median of {LOOKUPS} | {ours:.2} ms | plain DataFusion {theirs:.2} ms | {:.2} | at most 1.50 |",
        ours / theirs
    );
    Ok(())
}

/// The engine over a project, in this process.
pub(crate) async fn engine_over(project: &Path) -> Result<Arc<Engine>> {
    let warehouse = Url::from_directory_path(project.join("warehouse"))
        .map_err(|()| "the data folder has no URL")?;
    let catalog = Catalog::open(CatalogOptions {
        registry: project.join(".lakegate/catalog.db"),
        warehouse,
        clock: now,
    })
    .await?;
    Ok(Engine::new(catalog, &EngineOptions::default())?)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark has the real clock")]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
