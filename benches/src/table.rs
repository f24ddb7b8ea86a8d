//! Projects of tables that are published without rules.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::process::{Usage, measure};

/// A project whose tables are published, each as `bench.NAME`.
pub(crate) struct Table {
    folder: PathBuf,
}

impl Table {
    pub(crate) fn new(data: &Path, name: &str) -> Result<Self> {
        let folder = data.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(folder.join("pipelines"))?;
        std::fs::write(folder.join("lakegate.yaml"), "version: 1\nproject: bench\n")?;
        Ok(Self { folder })
    }

    /// Publishes the view `rows` of some stages, with these settings of the publish.
    pub(crate) fn publish(
        &self,
        lakegate: &Path,
        table: &str,
        stages: &str,
        settings: &str,
    ) -> Result<()> {
        let text = format!(
            "version: 1\npipeline: {table}\nstages:\n{stages}  - name: publish_rows\n    publish: {{ view: rows, table: bench.{table}, {settings} }}\n"
        );
        std::fs::write(self.folder.join(format!("pipelines/{table}.yaml")), text)?;
        let folder = self.folder.display().to_string();
        measure(lakegate, &["-C", &folder, "run", table]).map(|_| ())
    }

    /// A check that finds no states of an earlier one.
    pub(crate) fn check_anew(&self, lakegate: &Path, table: &str, rules: &str) -> Result<Usage> {
        let states = self.data(table).join("_lakegate/states");
        if states.exists() {
            std::fs::remove_dir_all(states)?;
        }
        self.check(lakegate, table, rules)
    }

    /// A check with the states that there are.
    pub(crate) fn check(&self, lakegate: &Path, table: &str, rules: &str) -> Result<Usage> {
        let file = self.folder.join("rules.yaml");
        std::fs::write(&file, rules)?;
        let (folder, file) = (
            self.folder.display().to_string(),
            file.display().to_string(),
        );
        measure(
            lakegate,
            &[
                "-C",
                &folder,
                "check",
                &format!("bench.{table}"),
                "--rules",
                &file,
            ],
        )
    }

    /// The folder of the project.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of a table's data files.
    pub(crate) fn data(&self, table: &str) -> PathBuf {
        self.folder.join("warehouse/bench").join(table)
    }
}

/// A stage that reads the files of a folder as the view `rows`.
pub(crate) fn extract(folder: &Path) -> String {
    let path = folder.join("*.parquet");
    format!(
        "  - name: rows\n    extract: {{ path: \"{}\", format: parquet }}\n",
        path.display()
    )
}
