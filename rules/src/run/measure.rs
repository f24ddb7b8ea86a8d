//! Measures what one check needs beyond the shared scan.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::{FrequenciesKey, GroupKey, Job, Judging, ScanResult, Side, guarded};
use crate::finding::Measured;
use crate::frequencies::{FrequenciesOf, count_frequencies};
use crate::plan::{Trouble, Work, column};
use crate::ranks::{RanksOf, find_ranks};
use crate::rows::{
    and_none_null, count_groups, count_marked, count_missing, expect_keys, filtered,
};
use crate::scan::{Found, Rows, Scan};

impl Judging<'_> {
    pub(super) async fn measure(
        &mut self,
        index: usize,
        scan: &ScanResult,
    ) -> Result<Measured, Trouble> {
        let job = &self.jobs[index];
        match job.work.clone()? {
            Work::Known(measured) => Ok(measured),
            Work::Scan(_) => match job.places.as_slice() {
                [place] => scan.measured(*place),
                _ => Err(Trouble::new("bug: the check has no place in the scan")),
            },
            Work::Several(_) => {
                let several = job.places.iter().map(|place| scan.measured(*place));
                Ok(Measured::Several(several.collect::<Result<_, _>>()?))
            }
            Work::Groups(columns) => {
                if let Some(groups) = self.value_groups(index, scan) {
                    return Ok(groups.as_grouping());
                }
                let key = (columns, job.filter.clone(), job.check.scope);
                self.groups(key).await
            }
            Work::Key(columns) => {
                let with_nulls = match job.places.first().map(|place| scan.measured(*place)) {
                    Some(measured) => measured?,
                    None => return Err(Trouble::new("bug: the nulls of a key were not counted")),
                };
                let groups = match self.value_groups(index, scan) {
                    Some(groups) => groups.as_grouping(),
                    None => {
                        let filter = and_none_null(job.filter.as_ref(), &columns);
                        let key = (columns, Some(filter), job.check.scope);
                        self.groups(key).await?
                    }
                };
                match (with_nulls, groups) {
                    (Measured::Rows { rows, bad }, Measured::Groups { repeated, .. }) => {
                        let bad = bad + repeated;
                        Ok(Measured::Rows { rows, bad })
                    }
                    _ => Err(Trouble::new("bug: a key was measured as something else")),
                }
            }
            Work::Match(_) | Work::Order(_) => {
                let source = self.rows(job.check.scope)?;
                let session = &self.subject.session;
                let work = job.work.clone()?;
                let filter = job.filter.as_ref();
                guarded(async {
                    if let Work::Match(wanted) = &work {
                        expect_keys(session, source.clone(), wanted, filter).await?;
                    }
                    count_marked(session, source, &work, filter).await
                })
                .await
            }
            Work::Beside(_, plan) => {
                let own = match job.places.as_slice() {
                    [place] => scan.measured(*place)?,
                    _ => return Err(Trouble::new("bug: the check has no place in the scan")),
                };
                let other = guarded(answer(&self.subject.session, *plan, 1)).await?;
                Ok(Measured::Several(vec![own, other]))
            }
            Work::Aggregates(aggregate, plan) => {
                let rows = filtered(self.rows(job.check.scope)?, job.filter.as_ref())?;
                let own = aggregate.over(rows)?.into_unoptimized_plan();
                let session = &self.subject.session;
                let own = guarded(answer(session, own, 1)).await?;
                let other = guarded(answer(session, *plan, 1)).await?;
                Ok(Measured::Several(vec![own, other]))
            }
            Work::CompleteGroups(groupings) => {
                let scope = job.check.scope;
                let columns = groupings.iter().flatten();
                let present = columns.map(|name| column(name).is_not_null());
                let filter = job.filter.clone().into_iter().chain(present);
                let filter = filter.reduce(Expr::and);
                let mut counted = Vec::new();
                for columns in groupings {
                    counted.push(self.groups((columns, filter.clone(), scope)).await?);
                }
                Ok(Measured::Several(counted))
            }
            Work::Frequencies(of) => self.own_frequencies(of, index, scan).await,
            Work::Versus(inner) => {
                let ours = match (inner.as_ref(), job.places.as_slice()) {
                    (Work::Frequencies(of), _) => {
                        self.own_frequencies(of.clone(), index, scan).await?
                    }
                    (_, [place]) => scan.measured(*place)?,
                    _ => return Err(Trouble::new("bug: the check has no place in the scan")),
                };
                let theirs = match self.subject.baseline.clone() {
                    Some(baseline) => Some(self.baseline(&baseline, &inner, index).await?),
                    None => None,
                };
                Ok(Measured::Versus(Box::new((ours, theirs))))
            }
            Work::Ranks(of) => match self.value_groups(index, scan) {
                Some(groups) => groups.as_ranks(&of),
                None => self.ranks(&of, index).await,
            },
            Work::Lookup(lookup) => {
                let rows = match job.places.first().map(|place| scan.measured(*place)) {
                    Some(Ok(Measured::Rows { rows, .. })) => rows,
                    Some(Err(trouble)) => return Err(trouble),
                    _ => return Err(Trouble::new("bug: the rows of a look-up were not counted")),
                };
                let source = self.rows(job.check.scope)?;
                let session = &self.subject.session;
                let missing = count_missing(session, source, &lookup, job.filter.as_ref());
                let bad = guarded(missing).await?;
                Ok(Measured::Rows { rows, bad })
            }
            Work::Query(plan) => {
                // One row more than a sample, so that `expect: true` sees a second one.
                let keep = self.facts.sample_rows.max(2);
                guarded(answer(&self.subject.session, *plan, keep)).await
            }
        }
    }

    /// The result of a grouping, which is made once.
    async fn groups(&mut self, key: GroupKey) -> Result<Measured, Trouble> {
        if let Some((_, known)) = self.groups.iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        let rows = self.rows(key.2)?;
        let counted = guarded(count_groups(rows, &key.0, key.1.as_ref())).await;
        self.groups.push((key, counted.clone()));
        counted
    }

    /// The number of rows of each value in the judged rows.
    async fn own_frequencies(
        &mut self,
        of: FrequenciesOf,
        index: usize,
        scan: &ScanResult,
    ) -> Result<Measured, Trouble> {
        if let Some(groups) = self.value_groups(index, scan) {
            return groups.as_frequencies(of.most);
        }
        let job = &self.jobs[index];
        let side = Side::Judged(job.check.scope);
        let key = (of, job.filter.clone(), side);
        self.frequencies(key).await
    }

    /// The number of rows of each value, which are counted once.
    async fn frequencies(&mut self, key: FrequenciesKey) -> Result<Measured, Trouble> {
        if let Some((_, known)) = self.frequencies.iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        let (of, filter, side) = &key;
        let rows = match (side, &self.subject.baseline) {
            (Side::Judged(scope), _) => self.rows(*scope)?,
            (Side::Baseline, Some(baseline)) => {
                let session = &self.subject.session;
                session.read_table(Arc::clone(baseline))?
            }
            (Side::Baseline, None) => return Err(Trouble::new("no published version known")),
        };
        let counted = guarded(count_frequencies(rows, of, filter.as_ref())).await;
        let counted = counted.map(Measured::Frequencies);
        self.frequencies.push((key, counted.clone()));
        counted
    }

    /// What a check measures in the last published version.
    async fn baseline(
        &mut self,
        baseline: &Arc<dyn TableProvider>,
        work: &Work,
        index: usize,
    ) -> Result<Measured, Trouble> {
        let measured = self.measured_in_baseline(baseline, work, index).await;
        match (work, measured) {
            (Work::Frequencies(of), Some(Ok(Measured::ValueCounts(Some(groups))))) => {
                groups.as_frequencies(of.most)
            }
            (Work::Frequencies(of), _) => {
                let filter = self.jobs[index].filter.clone();
                self.frequencies((of.clone(), filter, Side::Baseline)).await
            }
            (_, Some(measured)) => measured,
            (_, None) => Err(Trouble::new("bug: the baseline was not measured")),
        }
    }

    /// What a pass over the last published version measures for a check, if it measures anything.
    async fn measured_in_baseline(
        &mut self,
        baseline: &Arc<dyn TableProvider>,
        work: &Work,
        index: usize,
    ) -> Option<Result<Measured, Trouble>> {
        let schema = baseline.schema();
        if self.baseline.is_none() {
            let mut scan = Scan::default();
            for job in &self.jobs {
                if let Ok(Work::Versus(inner)) = &job.work {
                    scan.add_work(inner, &schema, job.filter.as_ref(), job.lasts);
                }
            }
            let rows = Rows {
                table: baseline,
                parts: self.subject.baseline_parts.as_ref(),
            };
            let found = match scan.is_empty() {
                true => Ok(Found::default()),
                false => guarded(scan.run(&self.subject.session, rows, None)).await,
            };
            self.baseline = Some((scan, found));
        }
        let (scan, found) = self.baseline.as_mut()?;
        let job = &self.jobs[index];
        // Added before, so that its place is found.
        let places = scan.add_work(work, &schema, job.filter.as_ref(), job.lasts);
        let place = places.first()?;
        Some(match found {
            Ok(found) => found.measured.get(*place)?.clone(),
            Err(trouble) => Err(trouble.clone()),
        })
    }

    /// Exact quantiles: those of all checks of the column at once.
    async fn ranks(&mut self, of: &RanksOf, index: usize) -> Result<Measured, Trouble> {
        let (filter, scope) = (
            self.jobs[index].filter.clone(),
            self.jobs[index].check.scope,
        );
        let is_same = |job: &&Job<'_>| job.filter == filter && job.check.scope == scope;
        let key = (of.column.clone(), filter.clone(), scope);
        if !self.ranks.iter().any(|(known, _, _)| *known == key) {
            let mut all = RanksOf {
                column: of.column.clone(),
                ranks: Vec::new(),
            };
            for job in self.jobs.iter().filter(is_same) {
                if let Ok(Work::Ranks(other)) = &job.work
                    && other.column == of.column
                {
                    all.ranks.extend(&other.ranks);
                }
            }
            let rows = self.rows(scope)?;
            let found = guarded(find_ranks(rows, &all, filter.as_ref())).await;
            self.ranks.push((key.clone(), all.ranks, found));
        }
        let known = self.ranks.iter().find(|(known, _, _)| *known == key);
        let Some((_, ranks, found)) = known else {
            return Err(Trouble::new("bug: the column was not sorted"));
        };
        let Measured::Ranks {
            rows,
            values,
            found,
        } = found.clone()?
        else {
            return Err(Trouble::new("bug: the column was not sorted"));
        };
        let at = |rank: &f64| {
            let place = ranks.iter().position(|known| known == rank)?;
            found.get(place).cloned()
        };
        Ok(Measured::Ranks {
            rows,
            values,
            found: of.ranks.iter().filter_map(at).collect(),
        })
    }
}

/// Counts the rows of a query and keeps the first ones.
async fn answer(
    session: &SessionContext,
    plan: LogicalPlan,
    keep: usize,
) -> Result<Measured, Trouble> {
    let mut stream = session
        .execute_logical_plan(plan)
        .await?
        .execute_stream()
        .await?;
    let schema = stream.schema();
    let mut rows = 0;
    let mut kept: Vec<RecordBatch> = Vec::new();
    let mut missing = keep;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if missing > 0 && batch.num_rows() > 0 {
            let head = batch.slice(0, batch.num_rows().min(missing));
            missing -= head.num_rows();
            kept.push(head);
        }
    }
    let head = match kept.is_empty() {
        true => None,
        false => Some(datafusion::arrow::compute::concat_batches(&schema, &kept)?),
    };
    Ok(Measured::Answer { rows, head })
}
