//! What a command works with: the folder, the settings, the output.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lakegate_etl::{Lakegate, LakegateOptions};
use lakegate_rules::yaml::{self, Problem, Problems};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::arguments::{Arguments, SettingFlags};
use crate::error::CliError;
use crate::output::Output;
use crate::settings::{self, Origin, PROJECT_FILE, Settings, Start};

/// What every command gets.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Where results and messages go.
    pub(crate) output: Arc<Output>,
    /// The project folder, absolute.
    pub(crate) root: PathBuf,
    /// Comes when the process is asked to stop, for a command that ends by itself.
    pub(crate) stop: CancellationToken,
    /// What was read before the project.
    pub(crate) start: Start,
    flags: SettingFlags,
}

impl Context {
    /// Reads what flags and environment say, and starts logging.
    pub(crate) fn new(arguments: &Arguments, output: Arc<Output>) -> Result<Self, CliError> {
        let start = Start::read(arguments, &settings::process_environment)?;
        output.start_log(&start.log.value)?;
        for (name, hint) in settings::unknown_variables() {
            output.warning(
                &format!("environment variable {name} is not a setting"),
                hint.as_deref(),
            );
        }
        Ok(Self {
            output,
            root: settings::absolute(&start.directory.value)?,
            stop: CancellationToken::new(),
            start,
            flags: arguments.settings.clone(),
        })
    }

    /// The same for another project folder.
    pub(crate) fn for_project(&self, root: PathBuf) -> Self {
        Self {
            root,
            ..self.clone()
        }
    }

    /// The settings of the project.
    ///
    /// # Errors
    /// When the folder is no project; every problem of `lakegate.yaml`.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        self.expect_folder()?;
        let settings = Settings::read(&self.root, &self.flags, &settings::process_environment)?;
        settings.ok_or_else(|| self.no_project())
    }

    fn expect_folder(&self) -> Result<(), CliError> {
        if self.root.is_file() {
            let message = format!("`{}` is a file, not a folder", self.root.display());
            return Err(CliError::new(message).with_hint("`-C DIR` names the project folder"));
        }
        Ok(())
    }

    fn no_project(&self) -> CliError {
        if !self.root.is_dir() {
            let message = format!("the folder `{}` does not exist", self.root.display());
            return CliError::new(message).with_hint("`-C DIR` names the project folder");
        }
        let error = CliError::new(format!(
            "there is no {PROJECT_FILE} in `{}`",
            self.root.display()
        ));
        let mut above = self.root.ancestors().skip(1);
        if let Some(project) = above.find(|folder| folder.join(PROJECT_FILE).is_file()) {
            return error.with_hint(format!(
                "there is one in `{}`: go there, or name it with `-C DIR`",
                project.display()
            ));
        }
        error.with_hint("go to the project folder or name it with `-C DIR`; `lakegate init DIR` makes a project")
    }

    /// Opens the project.
    ///
    /// # Errors
    /// When the folder is no project, or a catalog that is named for this command alone is not there.
    pub(crate) async fn open(&self) -> Result<Lakegate, CliError> {
        let settings = self.settings()?;
        let catalog = &settings.catalog;
        let is_named = matches!(catalog.origin, Origin::Flag(_) | Origin::Environment(_));
        if is_named && !catalog.value.exists() {
            return Err(CliError::new(format!(
                "the catalog `{}` does not exist",
                catalog.value.display()
            ))
            .with_hint("`lakegate run` and `lakegate catalog register` make one"));
        }
        Ok(Lakegate::open(options(self.root.clone(), settings)?).await?)
    }

    /// Opens the project to add to its tables; a catalog that is not there is made.
    pub(crate) async fn open_to_write(&self) -> Result<Lakegate, CliError> {
        let settings = self.settings()?;
        Ok(Lakegate::open(options(self.root.clone(), settings)?).await?)
    }

    /// Opens the project also when `lakegate.yaml` is wrong, and says what is.
    pub(crate) async fn open_anyway(&self, problems: &mut Problems) -> Result<Lakegate, CliError> {
        self.expect_folder()?;
        let environment = &settings::process_environment;
        let settings = Settings::read_anyway(&self.root, &self.flags, environment, problems)?;
        let settings = settings.ok_or_else(|| self.no_project())?;
        Ok(Lakegate::open(options(self.root.clone(), settings)?).await?)
    }

    /// Opens the project, or, where there is none, a catalog without tables that is gone when the
    /// folder is dropped.
    pub(crate) async fn open_or_without_project(
        &self,
    ) -> Result<(Lakegate, Option<TempDir>), CliError> {
        let environment = &settings::process_environment;
        if let Some(settings) = Settings::read(&self.root, &self.flags, environment)? {
            let lakegate = Lakegate::open(options(self.root.clone(), settings)?).await?;
            return Ok((lakegate, None));
        }
        if !self.root.is_dir() {
            return Err(self.no_project());
        }
        let folder = tempfile::Builder::new()
            .prefix("lakegate-")
            .tempdir()
            .map_err(|error| {
                CliError::failed("cannot make a folder for temporary files", &error)
            })?;
        let settings = Settings::without_project(folder.path(), &self.flags, environment)?;
        let options = options(folder.path().to_owned(), settings)?;
        Ok((Lakegate::open(options).await?, Some(folder)))
    }

    /// A path that the user names, from the project folder.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// The same path for the user, who stands in another folder when `-C` is given.
    /// It can be pasted into a shell.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let path = match self.start.directory.origin {
            Origin::Default => path.display().to_string(),
            _ => self.path(path).display().to_string(),
        };
        match shlex::try_quote(&path) {
            Ok(quoted) => quoted.into_owned(),
            // No shell takes a path with a NUL.
            Err(_) => path,
        }
    }

    /// The text of a file that the user names; `shown` is its name in messages.
    pub(crate) fn read_text(&self, shown: &str) -> Result<String, CliError> {
        let path = self.path(Path::new(shown));
        match std::fs::read(&path) {
            Ok(bytes) => Ok(yaml::decode(shown, &bytes)?),
            Err(error) => {
                let message = match error.kind() {
                    std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                    std::io::ErrorKind::IsADirectory => "this is a folder, not a file".to_owned(),
                    _ => format!("the file cannot be read: {error}"),
                };
                Err(Problems::from(Problem::new(shown, None, message)).into())
            }
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        clock()
    }
}

/// The clock of the process. Everything below the commands is handed it.
fn clock() -> DateTime<Utc> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the clock that is passed on comes from"
    )]
    Utc::now()
}

fn options(root: PathBuf, settings: Settings) -> Result<LakegateOptions, CliError> {
    let too_large = |what: &str| CliError::new(format!("{what} is too large for this machine"));
    let memory_limit = settings.memory_limit.value.map(usize::try_from).transpose();
    Ok(LakegateOptions {
        root,
        warehouse: settings.warehouse.value,
        registry: settings.catalog.value,
        memory_limit: memory_limit.map_err(|_| too_large("`memory_limit`"))?,
        sample_rows: usize::try_from(settings.sample_rows.value)
            .map_err(|_| too_large("the number of sample rows"))?,
        sample_keep: settings.sample_keep.value,
        clock,
    })
}
