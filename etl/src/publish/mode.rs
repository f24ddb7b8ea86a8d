//! How the catalog is to write, with the run's parameters bound in the conditions.

use lakegate_catalog::{MatchedAction, MatchedClause, MergeSpec, NotMatchedClause, WriteMode};
use lakegate_engine::bind_expression;
use lakegate_rules::yaml::{Problem, Span};

use super::conditions::equal_keys;
use super::scd2;
use crate::EtlError;
use crate::pipeline::{MergeMode, PublishMode, PublishStage};
use crate::run::Runner;

impl Runner {
    /// How the catalog is to write.
    pub(super) fn write_mode(&self, publish: &PublishStage) -> Result<WriteMode, EtlError> {
        Ok(match &publish.mode {
            PublishMode::Append => WriteMode::Append,
            PublishMode::Overwrite => WriteMode::Overwrite,
            PublishMode::ReplaceWhere { predicate, span } => {
                WriteMode::ReplaceWhere(self.bind(predicate, *span)?)
            }
            PublishMode::Merge(merge) => WriteMode::Merge(self.merge_spec(merge)?),
            PublishMode::Scd2(scd2) => WriteMode::Merge(scd2::merge_spec(scd2)),
        })
    }

    fn merge_spec(&self, merge: &MergeMode) -> Result<MergeSpec, EtlError> {
        let condition = |condition: &Option<(String, Span)>| match condition {
            Some((sql, span)) => self.bind(sql, *span).map(Some),
            None => Ok(None),
        };
        let mut matched = Vec::new();
        if let Some(when) = condition(&merge.delete_when)? {
            matched.push(MatchedClause {
                when: Some(when),
                action: MatchedAction::Delete,
            });
        }
        matched.push(MatchedClause {
            when: condition(&merge.update_when)?,
            action: MatchedAction::UpdateAll,
        });
        Ok(MergeSpec {
            on: equal_keys(&merge.key),
            matched,
            not_matched: vec![NotMatchedClause {
                when: condition(&merge.insert_when)?,
                insert: None,
            }],
            not_matched_by_source: Vec::new(),
        })
    }

    /// Binds the run's parameters in a SQL condition of the pipeline file.
    fn bind(&self, sql: &str, span: Span) -> Result<String, EtlError> {
        bind_expression(sql, &self.values.bound).map_err(|error| {
            let problem = Problem::new(self.pipeline.file.as_str(), span, error.to_string());
            EtlError::Invalid(problem.with_hint(error.hint().map(str::to_owned)).into())
        })
    }
}
