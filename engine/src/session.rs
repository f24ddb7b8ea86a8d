//! The only place that builds a DataFusion session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, TableProvider,
};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::prelude::{SessionConfig, SessionContext};
use lakegate_catalog::{Catalog, PinnedCatalog, TableName};
use lakegate_rules::{CheckedArithmetic, ExactComparisons};
use tracing::info;

use crate::access::{GrantedCatalog, OnBehalf};
use crate::bounded::{self, BoundedFunctions};
use crate::explain::{Planner, SettingsWithoutFolders};
use crate::null_aware::NullAwareSubqueries;
use crate::overlay::OverlayCatalog;
use crate::spill::SpillFolder;
use crate::{EngineError, StatementOptions, series, to_timestamp};
use crate::{now, optimizer};

/// The catalog's name in SQL.
pub const CATALOG: &str = "lakegate";

/// The schema of names without one.
pub const DEFAULT_SCHEMA: &str = "default";

/// Memory for the footers of data files, in bytes. DataFusion's default of 50 MB is too little for a lake.
const METADATA_CACHE_BYTES: usize = 512 << 20;

/// A join of two partitions makes one hash table for both of up to half of these bytes, and of more partitions for all of
/// them of as much less. Then the rows of its other side stay where they are; but one thread makes it.
const SINGLE_TABLE_BYTES: usize = 128 << 20;

/// As the bytes, in rows, for sides whose bytes are not known.
const SINGLE_TABLE_ROWS: usize = 16 << 20;

/// Consumers that an out-of-memory error names.
const NAMED_CONSUMERS: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(4);

/// Share of the machine's memory that queries may use when nothing else is said, in percent.
const DEFAULT_MEMORY_PERCENT: usize = 60;

/// The memory of a machine that does not tell, in bytes.
const UNKNOWN_MACHINE_BYTES: usize = 4 << 30;

/// Resources of the engine.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Memory for operators that hold rows, in bytes; they spill beyond it. 60 % of the machine when absent.
    pub memory_limit: Option<usize>,
    /// Folder for spilled rows; the system's own when absent, or when this one cannot be written to.
    pub temp_dir: Option<PathBuf>,
    /// Partitions of a plan; one a core when absent.
    pub target_partitions: Option<usize>,
}

/// Sessions and queries over a catalog.
///
/// All sessions of an engine share one memory limit and one cache of file footers.
#[derive(Debug)]
pub struct Engine {
    catalog: Arc<Catalog>,
    /// What each session begins as. Its functions are many: making them takes longer than planning a look-up.
    state: SessionState,
    memory_limit: usize,
    /// The folder for rows that are kept on disk for a while; the system's own when absent.
    spill_folder: Option<SpillFolder>,
}

impl Engine {
    /// An engine over a catalog.
    ///
    /// # Errors
    /// When the folder for spilled rows cannot be used.
    pub fn new(catalog: Arc<Catalog>, options: &EngineOptions) -> Result<Arc<Self>, EngineError> {
        let memory_limit = options.memory_limit.unwrap_or_else(default_memory_limit);
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory_limit), NAMED_CONSUMERS);
        let mut runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_metadata_cache_limit(METADATA_CACHE_BYTES);
        let mut spill_folder = None;
        if let Some(folder) = &options.temp_dir {
            match SpillFolder::within(folder) {
                Ok(own) => {
                    runtime = runtime.with_temp_file_path(own.path());
                    spill_folder = Some(own);
                }
                // Reading needs no folder that can be written to, unless rows are spilled.
                Err(error) => {
                    info!(folder = %folder.display(), %error, "rows are spilled into the system's temporary folder");
                }
            }
        }
        let runtime = runtime.build_arc().map_err(EngineError::from_execution)?;
        Ok(Arc::new(Self {
            catalog,
            state: session_state(options, runtime, memory_limit),
            memory_limit,
            spill_folder,
        }))
    }

    /// The folder for rows that are kept on disk for a while; the system's own when absent.
    pub(crate) fn temp_folder(&self) -> Option<&Path> {
        self.spill_folder.as_ref().map(SpillFolder::path)
    }

    /// The catalog.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Memory for operators that hold rows, in bytes.
    pub fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    /// A session that sees the catalog's tables, each at one version for as long as the session lives.
    pub fn session(&self) -> SessionContext {
        self.session_with(Vec::new())
    }

    /// A session in which some names mean other tables: a candidate, a pipeline's views.
    pub fn session_with(
        &self,
        overlays: Vec<(TableName, Arc<dyn TableProvider>)>,
    ) -> SessionContext {
        let overlays = overlays
            .into_iter()
            .map(|(name, provider)| (name.schema, name.table, provider));
        self.session_over(
            overlays,
            &StatementOptions::default(),
            None,
            OnBehalf::System,
        )
        .context
    }

    /// A session in which some names, by schema and table, mean other tables. The names need not be a [`TableName`].
    /// Tables that are named without a schema are those of the options; one that a statement makes may be absent.
    /// Of the catalog's tables, those are there that there are for whom the session is.
    pub(crate) fn session_over(
        &self,
        overlays: impl IntoIterator<Item = (String, String, Arc<dyn TableProvider>)>,
        options: &StatementOptions,
        absent: Option<&TableName>,
        behalf: OnBehalf<'_>,
    ) -> PinnedSession {
        let pinned = Arc::new(PinnedCatalog::new(Arc::clone(&self.catalog)));
        let mut state = self.state.clone();
        let settings = state.config_mut().options_mut();
        options
            .schema
            .clone_into(&mut settings.catalog.default_schema);
        if let Some(zone) = &options.time_zone {
            settings.execution.time_zone = Some(zone.to_string());
        }
        let functions = state.table_functions().keys().cloned();
        let inner = Arc::clone(&pinned) as Arc<dyn CatalogProvider>;
        let inner = match behalf {
            OnBehalf::System => inner,
            OnBehalf::Of(caller) => Arc::new(GrantedCatalog::new(inner, caller.clone())),
        };
        let catalog = OverlayCatalog::new(inner, overlays, functions, absent, &options.schema);
        // A list of its own: that of the state is shared.
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        state.register_catalog_list(Arc::new(catalogs));
        let context = SessionContext::new_with_state(state);
        if options.time_zone.is_some() {
            // Functions of the time know their zone from their beginning.
            let state = context.state();
            let functions = state.scalar_functions().values();
            let updated = functions.filter_map(|function| {
                function.inner().with_updated_config(state.config_options())
            });
            updated.for_each(|function| context.register_udf(function));
        }
        PinnedSession { context, pinned }
    }
}

/// DataFusion's rules between those that have to come before types are fitted to each other, and those after.
fn analyzer_rules(bounded: BoundedFunctions) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    rules.insert(0, Arc::new(SettingsWithoutFolders));
    rules.insert(0, Arc::new(ExactComparisons));
    rules.insert(0, Arc::new(NullAwareSubqueries));
    rules.push(Arc::new(CheckedArithmetic));
    rules.push(Arc::new(bounded));
    rules
}

/// A session, and the versions at which it sees the catalog's tables.
pub(crate) struct PinnedSession {
    pub(crate) context: SessionContext,
    pub(crate) pinned: Arc<PinnedCatalog>,
}

fn session_state(
    options: &EngineOptions,
    runtime: Arc<RuntimeEnv>,
    memory_limit: usize,
) -> SessionState {
    let (bounded, bounded_rule) = bounded::functions(memory_limit);
    let mut state = SessionStateBuilder::new()
        .with_config(session_config(options.target_partitions))
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(Planner))
        .with_analyzer_rules(analyzer_rules(bounded_rule))
        .with_optimizer_rules(optimizer::rules())
        .with_physical_optimizer_rules(optimizer::physical_rules());
    let functions = state.scalar_functions().get_or_insert_default();
    // Of two with one name, the later counts.
    functions.extend(bounded);
    functions.push(now::function());
    functions.push(to_timestamp::function());
    let series = state.table_functions().get_or_insert_default();
    series.extend(series::functions());
    state.build()
}

fn session_config(target_partitions: Option<usize>) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true);
    if let Some(partitions) = target_partitions {
        config = config.with_target_partitions(partitions);
    }
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // Times with a zone keep one: without it, `AT TIME ZONE` of such a time would not convert it.
    options.execution.time_zone = Some("UTC".to_owned());
    let partitions = options.execution.target_partitions.max(1);
    let joins = &mut options.optimizer;
    joins.hash_join_single_partition_threshold = joins
        .hash_join_single_partition_threshold
        .max(SINGLE_TABLE_BYTES / partitions);
    joins.hash_join_single_partition_threshold_rows = joins
        .hash_join_single_partition_threshold_rows
        .max(SINGLE_TABLE_ROWS / partitions);
    // A join pushes the values of its build side into a scan; over the dictionary columns of a
    // partitioned Delta table that fails, as deltalake's own sessions note.
    options.optimizer.hash_join_inlist_pushdown_max_size = 0;
    config
}

fn default_memory_limit() -> usize {
    machine_memory().unwrap_or(UNKNOWN_MACHINE_BYTES) / 100 * DEFAULT_MEMORY_PERCENT
}

/// Memory of the machine or of the container, whichever is less.
fn machine_memory() -> Option<usize> {
    let total_kib = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            line.split_whitespace().nth(1)?.parse::<usize>().ok()
        });
    let machine = total_kib.map(|kib| kib.saturating_mul(1024));
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok());
    match (machine, container) {
        (Some(machine), Some(container)) => Some(machine.min(container)),
        (machine, container) => machine.or(container),
    }
}
