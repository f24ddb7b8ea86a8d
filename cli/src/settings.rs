//! Settings, and where each comes from: defaults < `lakegate.yaml` < environment < flags.
//!
//! The only file that reads the environment.

mod project_file;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use lakegate_rules::yaml::{Problem, Problems, Span, nearest_hint, parse_bytes, parse_duration};
use url::Url;

use self::project_file::{ProjectFile, read_project_file};
use crate::arguments::{Arguments, Format, SettingFlags};
use crate::error::CliError;

/// The file that makes a folder a project.
pub(crate) const PROJECT_FILE: &str = "lakegate.yaml";

const DIRECTORY: &str = "LAKEGATE_DIRECTORY";
const FORMAT: &str = "LAKEGATE_FORMAT";
const WAREHOUSE: &str = "LAKEGATE_WAREHOUSE";
const CATALOG: &str = "LAKEGATE_CATALOG";
const MEMORY_LIMIT: &str = "LAKEGATE_MEMORY_LIMIT";
const SAMPLE_ROWS: &str = "LAKEGATE_SAMPLE_ROWS";
const SAMPLE_KEEP: &str = "LAKEGATE_SAMPLE_KEEP";
const LOG: &str = "LAKEGATE_LOG";

/// Every variable that is read, beside `NO_COLOR`.
const VARIABLES: &[&str] = &[
    DIRECTORY,
    FORMAT,
    WAREHOUSE,
    CATALOG,
    MEMORY_LIMIT,
    SAMPLE_ROWS,
    SAMPLE_KEEP,
    LOG,
];

const DEFAULT_SAMPLE_ROWS: u64 = 5;
const DEFAULT_SAMPLE_KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);
// What delta-rs and its kernel log as an error, it also returns: a refused commit, for one.
const DEFAULT_LOG: &str = "error,deltalake_core=off,buoyant_kernel=off,buoyant_kernel_engine=off,lakegate=warn,lakegate_rules=warn,lakegate_catalog=warn,lakegate_engine=warn,lakegate_etl=warn,lakegate_flight=warn,lakegate_gateway=warn";

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(Span),
    Environment(&'static str),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(span) => write!(f, "{PROJECT_FILE}:{span}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// The settings of a project.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) project: Setting<String>,
    pub(crate) warehouse: Setting<Url>,
    pub(crate) catalog: Setting<PathBuf>,
    pub(crate) memory_limit: Setting<Option<u64>>,
    pub(crate) sample_rows: Setting<u64>,
    pub(crate) sample_keep: Setting<Duration>,
}

/// What is needed before the project is known.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) directory: Setting<PathBuf>,
    pub(crate) format: Setting<Format>,
    pub(crate) log: Setting<String>,
}

/// Reads variables; a test brings its own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The variables of this process.
pub(crate) fn process_environment(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

/// The format of errors while the settings themselves may be wrong.
pub(crate) fn format_of_environment() -> Option<Format> {
    let text = process_environment(FORMAT)?;
    Format::from_str(text.to_str()?, true).ok()
}

/// Who works here, for attribution.
pub(crate) fn user_name() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|variable| process_environment(variable)?.into_string().ok())
}

/// Variables that look like settings and are none, each with a hint.
pub(crate) fn unknown_variables() -> Vec<(String, Option<String>)> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("LAKEGATE_") && !VARIABLES.contains(&name.as_str()))
        .map(|name| {
            let hint = nearest_hint(&name, VARIABLES);
            (name, hint)
        })
        .collect()
}

impl Start {
    /// Reads what flags and environment say.
    pub(crate) fn read(
        arguments: &Arguments,
        environment: Environment<'_>,
    ) -> Result<Self, CliError> {
        let directory = pick(
            arguments.directory.clone().map(|v| (v, "-C")),
            variable(environment, DIRECTORY, |text| Ok(PathBuf::from(text)))?,
            None,
            PathBuf::from("."),
        );
        let format = pick(
            arguments.format_flag().map(|v| (v, "--format")),
            variable(environment, FORMAT, |text| {
                Format::from_str(text, true).map_err(|_| "`text` or `json`".to_owned())
            })?,
            None,
            Format::Text,
        );
        let log = pick(
            arguments.settings.log.clone().map(|v| (v, "--log")),
            variable(environment, LOG, |text| Ok(text.to_owned()))?,
            None,
            DEFAULT_LOG.to_owned(),
        );
        Ok(Self {
            directory,
            format,
            log,
        })
    }
}

impl Settings {
    /// Reads the settings of the project in `root`, an absolute path.
    ///
    /// `None` when the folder is no project.
    pub(crate) fn read(
        root: &Path,
        flags: &SettingFlags,
        environment: Environment<'_>,
    ) -> Result<Option<Self>, CliError> {
        let mut problems = Problems::default();
        let settings = Self::read_anyway(root, flags, environment, &mut problems)?;
        Ok(problems.into_result(settings)?)
    }

    /// Reads the settings, with defaults where `lakegate.yaml` is wrong, so that the rest of the
    /// project can be looked at.
    pub(crate) fn read_anyway(
        root: &Path,
        flags: &SettingFlags,
        environment: Environment<'_>,
        problems: &mut Problems,
    ) -> Result<Option<Self>, CliError> {
        let file = match read_project_file(root)? {
            None => return Ok(None),
            Some(Ok(text)) => ProjectFile::read(&text),
            Some(Err(found)) => Err(found),
        };
        let mut file = file.unwrap_or_else(|found| {
            problems.extend(found);
            ProjectFile::default()
        });
        if let Some((text, span)) = &file.warehouse
            && let Err(wanted) = folder_url(text, root)
        {
            let found = without_secrets(text);
            let message = format!("`warehouse` must be {wanted}, found `{found}`");
            problems.push(Problem::new(PROJECT_FILE, *span, message));
            file.warehouse = None;
        }
        Self::resolve(root, &file, flags, environment).map(Some)
    }

    /// The settings of a folder that is no project, so that plain files can be looked at.
    pub(crate) fn without_project(
        root: &Path,
        flags: &SettingFlags,
        environment: Environment<'_>,
    ) -> Result<Self, CliError> {
        Self::resolve(root, &ProjectFile::default(), flags, environment)
    }

    /// Paths in the file are relative to the project, those of flags and environment to the folder
    /// that the command is called in.
    fn resolve(
        root: &Path,
        file: &ProjectFile,
        flags: &SettingFlags,
        environment: Environment<'_>,
    ) -> Result<Self, CliError> {
        let here = absolute(Path::new("."))?;
        let warehouse_of_file = file.warehouse.as_ref();
        let warehouse_of_file =
            warehouse_of_file.and_then(|(text, span)| Some((folder_url(text, root).ok()?, *span)));
        let warehouse_of_flag = match &flags.warehouse {
            Some(text) => {
                let url = folder_url(text, &here).map_err(|wanted| {
                    let found = without_secrets(text);
                    CliError::new(format!("--warehouse must be {wanted}, found `{found}`"))
                })?;
                Some((url, "--warehouse"))
            }
            None => None,
        };
        let default_warehouse = folder_url("warehouse", root).map_err(|_| {
            CliError::new(format!("`{}` is not the path of a folder", root.display()))
        })?;
        let catalog_of_file = file.catalog.as_ref();
        Ok(Self {
            project: pick(
                None,
                None,
                file.project.clone(),
                root.file_name().map_or_else(
                    || "project".to_owned(),
                    |n| n.to_string_lossy().into_owned(),
                ),
            ),
            warehouse: pick(
                warehouse_of_flag,
                variable(environment, WAREHOUSE, |text| folder_url(text, &here))?,
                warehouse_of_file,
                default_warehouse,
            ),
            catalog: pick(
                flags
                    .catalog
                    .as_ref()
                    .map(|path| (here.join(path), "--catalog")),
                variable(environment, CATALOG, |text| Ok(here.join(text)))?,
                catalog_of_file.map(|(path, span)| (root.join(path), *span)),
                root.join(".lakegate").join("catalog.db"),
            ),
            memory_limit: pick(
                flags.memory_limit.map(|v| (Some(v), "--memory-limit")),
                variable(environment, MEMORY_LIMIT, |text| {
                    parse_bytes(text)
                        .map(Some)
                        .ok_or_else(|| "a size such as `2GiB`".to_owned())
                })?,
                file.memory_limit.map(|(value, span)| (Some(value), span)),
                None,
            ),
            sample_rows: pick(
                flags.sample_rows.map(|v| (v, "--sample-rows")),
                variable(environment, SAMPLE_ROWS, |text| {
                    text.parse().map_err(|_| "a whole number".to_owned())
                })?,
                file.sample_rows,
                DEFAULT_SAMPLE_ROWS,
            ),
            sample_keep: pick(
                flags.sample_keep.map(|v| (v, "--sample-keep")),
                variable(environment, SAMPLE_KEEP, |text| {
                    parse_duration(text).ok_or_else(|| "a duration such as `30d`".to_owned())
                })?,
                file.sample_keep,
                DEFAULT_SAMPLE_KEEP,
            ),
        })
    }
}

/// The value of the strongest origin.
fn pick<T>(
    flag: Option<(T, &'static str)>,
    variable: Option<(T, &'static str)>,
    file: Option<(T, Span)>,
    default: T,
) -> Setting<T> {
    if let Some((value, name)) = flag {
        let origin = Origin::Flag(name);
        return Setting { value, origin };
    }
    if let Some((value, name)) = variable {
        let origin = Origin::Environment(name);
        return Setting { value, origin };
    }
    if let Some((value, span)) = file {
        let origin = Origin::File(span);
        return Setting { value, origin };
    }
    Setting {
        value: default,
        origin: Origin::Default,
    }
}

/// Reads a variable; `parse` says on failure what is wanted.
fn variable<T>(
    environment: Environment<'_>,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<(T, &'static str)>, CliError> {
    let Some(raw) = environment(name) else {
        return Ok(None);
    };
    let Some(text) = raw.to_str() else {
        return Err(CliError::new(format!(
            "environment variable {name} is not UTF-8"
        )));
    };
    match parse(text) {
        Ok(value) => Ok(Some((value, name))),
        Err(wanted) => Err(CliError::new(format!(
            "environment variable {name} must be {wanted}, found `{}`",
            without_secrets(text)
        ))),
    }
}

/// A URL without user, password and query, each of which can carry a secret; any other text as it is.
pub(crate) fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?..."),
        None => (rest, ""),
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}{query}")
}

/// A folder, by path or `file:` URL. On failure, what is wanted.
pub(crate) fn folder_url(text: &str, base: &Path) -> Result<Url, String> {
    let wanted = || "the path of a folder, or a URL that begins with `file:///`".to_owned();
    if text.contains("://") {
        let url = Url::parse(text).map_err(|_| wanted())?;
        return match url.scheme() {
            "file" => Ok(url),
            _ => Err(wanted()),
        };
    }
    if text.is_empty() {
        return Err(wanted());
    }
    Url::from_directory_path(normalized(&base.join(text))).map_err(|()| wanted())
}

/// An absolute path without `.` and `..`; links are left as they are.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    let path = std::path::absolute(path)
        .map_err(|error| CliError::failed(format!("cannot find `{}`", path.display()), &error))?;
    Ok(normalized(&path))
}

fn normalized(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}
