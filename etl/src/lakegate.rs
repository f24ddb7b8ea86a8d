//! A project that is open: its catalog, its engine and its judge, wired together.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use lakegate_catalog::{Catalog, CatalogOptions, Judge};
use lakegate_engine::{Engine, EngineOptions};
use url::Url;

use crate::EtlError;
use crate::judge::RulesJudge;

/// The folder of a project that holds what can be made again.
const STATE_FOLDER: &str = ".lakegate";

/// Where a project is and what it may use.
#[derive(Debug, Clone)]
pub struct LakegateOptions {
    /// The project folder. Paths in its files are relative to it.
    pub root: PathBuf,
    /// The folder that new tables are made in.
    pub warehouse: Url,
    /// The SQLite file with registry and live state.
    pub registry: PathBuf,
    /// Memory for operators that hold rows, in bytes; 60 % of the machine when absent.
    pub memory_limit: Option<usize>,
    /// How many bad rows a check names by their keys, at most.
    pub sample_rows: usize,
    /// How long samples are kept.
    pub sample_keep: Duration,
    /// The clock.
    pub clock: fn() -> DateTime<Utc>,
}

impl LakegateOptions {
    /// The layout of a project that sets nothing: `warehouse/`, `.lakegate/catalog.db`, five samples kept for 30 days.
    ///
    /// # Errors
    /// When the project folder is not an absolute path.
    pub fn new(root: &Path, clock: fn() -> DateTime<Utc>) -> Result<Self, EtlError> {
        let warehouse = Url::from_directory_path(root.join("warehouse")).map_err(|()| {
            EtlError::request(
                format!(
                    "the project folder `{}` is not an absolute path",
                    root.display()
                ),
                None,
            )
        })?;
        Ok(Self {
            root: root.to_owned(),
            warehouse,
            registry: root.join(STATE_FOLDER).join("catalog.db"),
            memory_limit: None,
            sample_rows: 5,
            sample_keep: Duration::from_secs(30 * 24 * 60 * 60),
            clock,
        })
    }
}

/// A project that is open.
#[derive(Debug, Clone)]
pub struct Lakegate {
    /// Its tables.
    pub catalog: Arc<Catalog>,
    /// Its queries.
    pub engine: Arc<Engine>,
    /// What it was opened with.
    pub options: LakegateOptions,
    judge: Arc<RulesJudge>,
}

impl Lakegate {
    /// Opens a project, making its catalog when there is none.
    ///
    /// # Errors
    /// When the catalog cannot be opened or the folder for scratch files cannot be used.
    pub async fn open(options: LakegateOptions) -> Result<Self, EtlError> {
        let catalog = Catalog::open(CatalogOptions {
            registry: options.registry.clone(),
            warehouse: options.warehouse.clone(),
            clock: options.clock,
        })
        .await?;
        let engine = Engine::new(
            Arc::clone(&catalog),
            &EngineOptions {
                memory_limit: options.memory_limit,
                temp_dir: Some(options.root.join(STATE_FOLDER).join("spill")),
                target_partitions: None,
            },
        )?;
        let judge = Arc::new(RulesJudge::new(Arc::clone(&engine), options.sample_rows));
        let judge_for_catalog: Weak<dyn Judge> = Arc::downgrade(&judge) as Weak<dyn Judge>;
        catalog.set_judge(judge_for_catalog);
        Ok(Self {
            catalog,
            engine,
            options,
            judge,
        })
    }

    /// The project folder.
    pub fn root(&self) -> &Path {
        &self.options.root
    }

    /// The folder for views of running pipelines.
    pub(crate) fn scratch_folder(&self) -> PathBuf {
        self.options.root.join(STATE_FOLDER).join("scratch")
    }

    /// The time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.options.clock)()
    }

    /// Who judges the commits of this project.
    pub(crate) fn judge(&self) -> &RulesJudge {
        &self.judge
    }
}
