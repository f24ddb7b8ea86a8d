//! Check stages: a rule file over a view, before anything that depends on the view is written.

use std::sync::Arc;

use crate::EtlError;
use crate::judge::Judged;
use crate::pipeline::CheckStage;
use crate::run::{Draft, Runner, Stop, check_failed};
use crate::transform::view_name;

impl Runner {
    pub(crate) async fn check(
        self: &Arc<Self>,
        index: usize,
        check: &CheckStage,
        draft: &mut Draft,
    ) -> Result<(), Stop> {
        let graph = &self.pipeline.graph;
        self.demand_all(graph.publishes(index)).await?;
        let view = self.view_named(&check.view).await?;
        let mut others = Vec::new();
        for other in graph.views(index) {
            let stage = self.stage(other)?;
            if stage.name != check.view {
                others.push((view_name(&stage.name), self.view(other).await?.provider));
            }
        }
        draft.begin(self, "check", None);
        let _turn = self.turn().await?;
        let judged = Judged {
            name: self.judged_name(check)?,
            rows: Arc::clone(&view.provider),
            parts: None,
            collected: None,
            added: Some(view.provider),
            previous: None,
            baseline: None,
            baseline_parts: None,
            now: self.lakegate.now(),
        };
        let report = self
            .lakegate
            .judge()
            .report(&check.suite, judged, others)
            .await;
        draft.report.rows = report.rows;
        let blocks = report.blocks();
        let failure = check_failed(&format!("view `{}`", check.view), &report, None);
        draft.judged(self, report);
        if blocks { Err(failure.into()) } else { Ok(()) }
    }

    /// The name under which the rules know the view: their own, or else the view's.
    fn judged_name(&self, check: &CheckStage) -> Result<lakegate_catalog::TableName, EtlError> {
        match &check.suite.table {
            Some(name) => Ok(name.parse()?),
            None => Ok(view_name(&check.view)),
        }
    }
}
