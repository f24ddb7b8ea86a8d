//! The judge of commits: rule files over candidate versions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lakegate_catalog::{Candidate, Judge, JudgeError, Ruling};
use lakegate_engine::Engine;
use lakegate_rules::Suite;

/// Judges candidates with the rules that are attached to their table.
///
/// It runs its queries as the system, in a session in which the table's name means the candidate.
#[derive(Debug)]
pub struct RulesJudge {
    engine: Arc<Engine>,
    sample_rows: usize,
    suites: Mutex<HashMap<String, Arc<Suite>>>,
}

impl RulesJudge {
    /// A judge over the tables of an engine that names up to `sample_rows` bad rows a check.
    pub fn new(engine: Arc<Engine>, sample_rows: usize) -> Self {
        Self {
            engine,
            sample_rows,
            suites: Mutex::default(),
        }
    }
}

impl RulesJudge {
    async fn rule(&self, _candidate: Candidate) -> Result<Ruling, JudgeError> {
        let _ = (&self.engine, self.sample_rows, &self.suites);
        Err(JudgeError("rules are not built".into()))
    }
}

#[async_trait]
impl Judge for RulesJudge {
    async fn judge(&self, candidate: Candidate) -> Result<Ruling, JudgeError> {
        self.rule(candidate).await
    }
}
