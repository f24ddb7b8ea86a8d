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
        if let Some(origin) = self.origin_of_all_rows(index, scan) {
            return vec![Source::new(origin, all_files)];
        }
        match &job.work {
            Err(_) => Vec::new(),
            Ok(Work::Known(_)) => vec![Source::new(Origin::Schema, None)],
            Ok(
                Work::Scan(_)
                | Work::Several(_)
                | Work::Versus(_)
                | Work::Groups(_)
                | Work::Key(_)
                | Work::Frequencies(_)
                | Work::Ranks(_),
            ) => Source::of_measures(job.places.iter().map(|place| scan.sources(*place))),
            Ok(Work::Beside(..)) => {
                let places = job.places.iter().map(|place| scan.sources(*place));
                let mut sources = Source::of_measures(places);
                sources.push(Source::new(Origin::Query, None));
                sources
            }
            Ok(_) => vec![Source::new(Origin::Query, None)],
        }
    }

    /// How many parts were read, of all; none when there are no parts.
    pub(super) fn files_read(&self, scans: &Scans) -> Option<FilesRead> {
        let parts = self.subject.parts.as_ref()?;
        let of = parts.keys().len() as u64;
        let reads_all = |(index, job): (usize, &Job<'_>)| {
            let is_of_table = job.is_applied && job.check.scope == Scope::Table;
            is_of_table && self.origin_of_all_rows(index, &scans.table).is_some()
        };
        let scanned = scans.table.found.as_ref().map(|found| found.read.len());
        let read = match self.jobs.iter().enumerate().any(reads_all) {
            true => of,
            false => scanned.unwrap_or_default() as u64,
        };
        Some(FilesRead { read, of })
    }

    /// Where the metric of a check comes from that reads all rows by itself; none for the others.
    fn origin_of_all_rows(&self, index: usize, scan: &ScanResult) -> Option<Origin> {
        let work = match self.jobs[index].work.as_ref().ok()? {
            Work::Versus(inner) => inner.as_ref(),
            work => work,
        };
        match work {
            Work::Groups(_) | Work::Key(_) | Work::Frequencies(_) | Work::Ranks(_)
                if self.value_groups(index, scan).is_some() =>
            {
                None
            }
            Work::Groups(_)
            | Work::Key(_)
            | Work::CompleteGroups(_)
            | Work::Frequencies(_)
            | Work::Ranks(_)
            | Work::Order(_) => Some(Origin::Grouping),
            Work::Lookup(_) | Work::Match(_) => Some(Origin::LookUp),
            Work::Aggregates(..) => Some(Origin::Query),
            Work::Known(_)
            | Work::Scan(_)
            | Work::Several(_)
            | Work::Versus(_)
            | Work::Beside(..)
            | Work::Query(_) => None,
        }
    }
}
