//! DataFusion's rules of optimization, of which some are corrected.

use std::sync::Arc;

use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use crate::filter_pushdown::NamesOnce;
use crate::join_keys::JoinKeys;
use crate::same_types::SameTypes;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;
type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Those of logical plans.
pub(crate) fn rules() -> Vec<Rule> {
    let rules = Optimizer::new().rules.into_iter();
    rules
        .map(|rule| match rule.name() {
            "extract_equijoin_predicate" | "eliminate_cross_join" => {
                Arc::new(JoinKeys(rule)) as Rule
            }
            "single_distinct_aggregation_to_group_by" => Arc::new(SameTypes(rule)),
            _ => rule,
        })
        .collect()
}

/// Those of physical plans.
pub(crate) fn physical_rules() -> Vec<PhysicalRule> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    rules
        .map(|rule| match rule.name() {
            "FilterPushdown" | "FilterPushdown(Post)" => Arc::new(NamesOnce(rule)) as PhysicalRule,
            _ => rule,
        })
        .collect()
}
