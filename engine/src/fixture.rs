//! An engine for tests, over a catalog in a folder of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use lakegate_catalog::{Catalog, CatalogOptions};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    AdmissionLimits, Caller, Engine, EngineError, EngineOptions, Grants, Queries, QueriesOptions,
    Request, Right, SessionOptions,
};

pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) queries: Arc<Queries>,
    /// Who asks.
    pub(crate) caller: Caller,
}

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_640_000, 0).unwrap()
}

/// The name of the folder for spilled rows.
const SPILL: &str = "spill";

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = folder.path().join("warehouse");
        std::fs::create_dir(&warehouse).unwrap();
        let catalog = Catalog::open(CatalogOptions {
            registry: folder.path().join(".lakegate/catalog.db"),
            warehouse: format!("file://{}/", warehouse.display()).parse().unwrap(),
            clock: noon,
        });
        let options = EngineOptions {
            memory_limit: Some(256 << 20),
            temp_dir: Some(folder.path().join(SPILL)),
            target_partitions: Some(2),
        };
        let engine = Engine::new(catalog.await.unwrap(), &options).unwrap();
        let places = AdmissionLimits {
            running: 4,
            running_of_one: 4,
            waiting: 4,
        };
        Self {
            folder,
            queries: Queries::start(
                engine,
                QueriesOptions {
                    places,
                    stall_limit: Duration::from_secs(3600),
                    keep_samples: Duration::from_secs(3600),
                },
            )
            .unwrap(),
            caller: caller(Grants::EVERYTHING),
        }
    }

    /// The folder for spilled rows.
    pub(crate) fn spill_folder(&self) -> String {
        self.folder.path().join(SPILL).display().to_string()
    }

    /// The folder of a table.
    pub(crate) fn folder_of(&self, table: &str) -> PathBuf {
        self.folder.path().join("warehouse/default").join(table)
    }

    /// From here on, who asks may do only this.
    pub(crate) fn grant_only(&mut self, granted: &[(Right, &str)]) {
        let granted = granted.iter();
        let granted = granted.map(|(right, tables)| (*right, tables.parse().unwrap()));
        self.caller = caller(Grants::only(granted.collect()));
    }

    /// Makes a change, with values.
    pub(crate) async fn change_with(
        &self,
        sql: &str,
        values: Vec<ScalarValue>,
    ) -> Result<Option<u64>, EngineError> {
        match values.is_empty() {
            true => self.change_with_rows(sql, &[]).await,
            false => self.change_with_rows(sql, &[values]).await,
        }
    }

    /// Makes a change, with each of several rows of values.
    pub(crate) async fn change_with_rows(
        &self,
        sql: &str,
        rows: &[Vec<ScalarValue>],
    ) -> Result<Option<u64>, EngineError> {
        let request = request(sql, rows.first().cloned().unwrap_or_default());
        let caller = self.caller.clone();
        let changed = self.queries.change(Uuid::now_v7(), &request, rows, caller);
        changed.await
    }

    /// Makes a change.
    pub(crate) async fn change(&self, sql: &str) -> Result<Option<u64>, EngineError> {
        self.change_with(sql, Vec::new()).await
    }

    /// Makes changes that must succeed.
    pub(crate) async fn changes(&self, statements: &[&str]) {
        for sql in statements {
            self.change(sql).await.expect(sql);
        }
    }

    /// The answer to a query, as text.
    pub(crate) async fn answer(&self, sql: &str) -> Result<String, EngineError> {
        self.answer_with(sql, Vec::new()).await
    }

    /// The answer to a query with values, as text.
    pub(crate) async fn answer_with(
        &self,
        sql: &str,
        values: Vec<ScalarValue>,
    ) -> Result<String, EngineError> {
        let ready = self.queries.plan(request(sql, values), &self.caller);
        let ready = ready.await?;
        let caller = self.caller.clone();
        let rows = self.queries.run(Uuid::now_v7(), ready, caller).await?;
        let batches: Vec<_> = rows.try_collect().await?;
        Ok(pretty_format_batches(&batches).unwrap().to_string())
    }

    /// What is wrong with a change: the message and the way out.
    pub(crate) async fn refusal(&self, sql: &str) -> String {
        match self.change(sql).await {
            Ok(_) => panic!("{sql} was made"),
            Err(error) => format!("{error}\n{}", error.hint().unwrap_or_default()),
        }
    }
}

fn request(sql: &str, parameters: Vec<ScalarValue>) -> Request {
    Request {
        sql: sql.into(),
        parameters,
        session: session(),
        pins: None,
    }
}

pub(crate) fn session() -> SessionOptions {
    SessionOptions {
        schema: "default".to_owned(),
        time_zone: None,
    }
}

fn caller(grants: Grants) -> Caller {
    Caller {
        principal: "ann".to_owned(),
        door: "flight",
        peer: None,
        grants: Arc::new(grants),
    }
}
