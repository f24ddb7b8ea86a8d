//! Rows for which a second condition holds where a first one does.
//!
//! A row is bad when `when` is true and `then` is false or null. Rows for which `when` is false or null are good, and
//! count as rows: with `where` in the place of `when` they would not. `then` is computed only where `when` is true.
//! The conditions look at one row; `:commit_time` and the parameters of the file are bound as values.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! table_checks:
//!   - implies: { when: "status = 'shipped'", then: shipped_on IS NOT NULL }
//!   - implies: { name: paid, when: "status = 'paid'", then: amount > 0, bad_rows: quarantine }
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::logical_expr::{lit, when};

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) struct Implies;

const SETTINGS: &[Setting] = &[
    Setting::required(
        "when",
        Form::Text,
        "SQL that chooses the rows which are judged.",
    ),
    Setting::required(
        "then",
        Form::Text,
        "SQL that is true for good rows among them.",
    ),
];

impl CheckKind for Implies {
    fn name(&self) -> &'static str {
        "implies"
    }

    fn source(&self) -> &'static str {
        include_str!("implies.rs")
    }

    fn place(&self) -> Place {
        Place::Either
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn read(&self, _column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let spans = [settings.span("when"), settings.span("then")];
        let when = settings.text("when");
        let then = settings.text("then");
        Some(Arc::new(Implication {
            when: when?,
            then: then?,
            spans,
        }))
    }
}

#[derive(Debug)]
struct Implication {
    when: String,
    then: String,
    spans: [Span; 2],
}

#[async_trait]
impl Rule for Implication {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let [when_span, then_span] = self.spans;
        let condition = planner.condition(&self.when);
        let condition = condition.map_err(|trouble| trouble.at(when_span))?;
        let consequence = planner.condition(&self.then);
        let consequence = consequence.map_err(|trouble| trouble.at(then_span))?;
        // Numbers, because the optimizer turns a CASE over truth values into AND and OR, which compute `then` for rows
        // that `when` leaves out.
        let holds = when(consequence.is_true(), lit(1)).otherwise(lit(0))?;
        let is_good = when(condition.is_true(), holds).otherwise(lit(1))?;
        Ok(Work::Scan(Measure::False(is_good.eq(lit(1)))))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
