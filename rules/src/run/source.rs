//! Says where metrics came from.

use super::{Job, Judging, ScanResult, Scans};
use crate::plan::Work;
use crate::{FilesRead, Origin, Scope, Source};

impl Judging<'_> {
    /// Where a check's metric came from.
    pub(super) fn source(&self, index: usize, scan: &ScanResult) -> Vec<Source> {
        let job = &self.jobs[index];
        let parts = self.subject.parts.as_ref();
        let all_files = match job.check.scope {
            Scope::Table => parts.map(|parts| parts.keys().len() as u64),
            Scope::Added => None,
        };
        match &job.work {
            Err(_) => Vec::new(),
            Ok(Work::Known(_)) => vec![Source::new(Origin::Schema, None)],
            Ok(Work::Scan(_) | Work::Several(_)) => {
                Source::of_measures(job.places.iter().map(|place| scan.sources(*place)))
            }
            Ok(Work::Versus(inner)) if !matches!(**inner, Work::Frequencies(_)) => {
                Source::of_measures(job.places.iter().map(|place| scan.sources(*place)))
            }
            Ok(
                Work::Groups(_)
                | Work::Key(_)
                | Work::CompleteGroups(_)
                | Work::Frequencies(_)
                | Work::Ranks(_)
                | Work::Order(_)
                | Work::Versus(_),
            ) => vec![Source::new(Origin::Grouping, all_files)],
            Ok(Work::Lookup(_) | Work::Match(_)) => vec![Source::new(Origin::LookUp, all_files)],
            Ok(Work::Beside(..)) => {
                let places = job.places.iter().map(|place| scan.sources(*place));
                let mut sources = Source::of_measures(places);
                sources.push(Source::new(Origin::Query, None));
                sources
            }
            Ok(Work::Aggregates(..)) => vec![Source::new(Origin::Query, all_files)],
            Ok(Work::Query(_)) => vec![Source::new(Origin::Query, None)],
        }
    }

    /// How many parts were read, of all; none when there are no parts.
    pub(super) fn files_read(&self, scans: &Scans) -> Option<FilesRead> {
        let parts = self.subject.parts.as_ref()?;
        let of = parts.keys().len() as u64;
        let reads_all = |job: &Job<'_>| {
            let reads = match &job.work {
                Ok(Work::Versus(inner)) => matches!(**inner, Work::Frequencies(_)),
                Ok(work) => matches!(
                    work,
                    Work::Groups(_)
                        | Work::Key(_)
                        | Work::CompleteGroups(_)
                        | Work::Frequencies(_)
                        | Work::Ranks(_)
                        | Work::Order(_)
                        | Work::Lookup(_)
                        | Work::Match(_)
                        | Work::Aggregates(..)
                ),
                Err(_) => false,
            };
            reads && job.is_applied && job.check.scope == Scope::Table
        };
        let scanned = scans.table.found.as_ref().map(|found| found.read.len());
        let read = match self.jobs.iter().any(reads_all) {
            true => of,
            false => scanned.unwrap_or_default() as u64,
        };
        Some(FilesRead { read, of })
    }
}
