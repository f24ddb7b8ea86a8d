//! The example projects, data and all, inside the binary.

use std::path::Path;

use crate::error::CliError;

/// Files of a project, by their paths in it.
#[derive(Debug)]
pub(crate) struct Example {
    files: &'static [(&'static str, &'static [u8])],
}

macro_rules! example {
    ($folder:literal, $($file:literal),+ $(,)?) => {
        Example {
            files: &[$(($file, include_bytes!(concat!("../../examples/", $folder, "/", $file)))),+],
        }
    };
}

/// Two months of real flights.
pub(crate) const FLIGHTS: Example = example!(
    "flights",
    ".gitignore",
    "README.md",
    "checks/airlines.yaml",
    "checks/airports.yaml",
    "checks/daily_delays.yaml",
    "checks/delivery.yaml",
    "checks/flights.yaml",
    "checks/planes.yaml",
    "data/airlines.csv",
    "data/airports.csv",
    "data/flights-2013-01.zip",
    "data/flights-2013-02.zip",
    "data/planes.csv",
    "lakegate.yaml",
    "pipelines/flights.yaml",
    "schemas/airlines.yaml",
    "schemas/airports.yaml",
    "schemas/flights.yaml",
    "schemas/planes.yaml",
    "sql/daily_delays.sql",
    "sql/flights.sql",
);

/// The smallest project that shows every kind of stage.
pub(crate) const STARTER: Example = example!(
    "starter",
    ".gitignore",
    "checks/orders.yaml",
    "data/orders.csv",
    "lakegate.yaml",
    "pipelines/orders.yaml",
    "schemas/orders.yaml",
    "sql/orders.sql",
);

impl Example {
    /// Writes the files into a folder that is empty or does not exist. Returns their paths.
    ///
    /// # Errors
    /// When something is in the folder already, or it cannot be written.
    pub(crate) fn write_to(&self, folder: &Path) -> Result<Vec<&'static str>, CliError> {
        expect_empty(folder)?;
        for (path, bytes) in self.files {
            let target = folder.join(path);
            let written = match target.parent() {
                Some(parent) => std::fs::create_dir_all(parent),
                None => Ok(()),
            }
            .and_then(|()| std::fs::write(&target, bytes));
            written.map_err(|error| {
                CliError::failed(format!("cannot write `{}`", target.display()), &error)
            })?;
        }
        Ok(self.files.iter().map(|(path, _)| *path).collect())
    }

    /// One file.
    pub(crate) fn file(&self, path: &str) -> Option<&'static [u8]> {
        let found = self.files.iter().find(|(name, _)| *name == path);
        found.map(|(_, bytes)| *bytes)
    }
}

fn expect_empty(folder: &Path) -> Result<(), CliError> {
    let refuse = |message: String| {
        Err(CliError::new(message).with_hint("name a folder that is empty or does not exist"))
    };
    match std::fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => refuse(format!("the folder `{}` is not empty", folder.display())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            refuse(format!("`{}` is a file", folder.display()))
        }
        Err(error) => Err(CliError::failed(
            format!("cannot look into the folder `{}`", folder.display()),
            &error,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn files_below(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            // What running the example in place leaves behind.
            if name == "warehouse" || name == ".lakegate" {
                continue;
            }
            if path.is_dir() {
                files_below(&path, root, found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_of_an_example_is_inside_the_binary() {
        for (name, example) in [("flights", &FLIGHTS), ("starter", &STARTER)] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../examples")
                .join(name);
            let mut on_disk = BTreeSet::new();
            files_below(&root, &root, &mut on_disk);
            let inside: BTreeSet<String> =
                example.files.iter().map(|(p, _)| (*p).to_owned()).collect();
            assert_eq!(inside, on_disk, "{name}");
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.txt");
        std::fs::write(&file, "mine").unwrap();
        let error = STARTER.write_to(folder.path()).unwrap_err();
        assert_eq!(error.exit_code, 2);
        assert!(error.messages[0].text.contains("is not empty"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(
            STARTER.write_to(&file).unwrap_err().messages[0]
                .text
                .contains("is a file")
        );
        STARTER.write_to(&folder.path().join("a/b")).unwrap();
        assert!(folder.path().join("a/b/lakegate.yaml").is_file());
    }
}
