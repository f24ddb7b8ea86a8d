//! What each stage waits for, inferred from the names that its SQL, its `view:` and its rules use.
//!
//! - A stage waits for the views that it reads.
//! - A publish waits for every check stage over a view that its own view is made from.
//! - A stage whose SQL or rules read a table waits for the publishes of that table. When such a publish is itself
//!   made from the stage, the stage reads the table as it was before, and does not wait.
//! - Publishes to one table go in the file's order.

use std::collections::BTreeSet;

use lakegate_catalog::TableName;
use lakegate_rules::yaml::{Problem, Problems, Span, nearest_hint};

use crate::EtlError;
use crate::pipeline::{BrokenStage, Stage, StageKind};

/// The schema of views and of tables without one.
const DEFAULT_SCHEMA: &str = "default";

/// What each stage of a pipeline waits for. Stages are numbered in the file's order.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    order: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Stages whose views are read.
    views: BTreeSet<usize>,
    /// Check stages that must pass.
    checks: BTreeSet<usize>,
    /// Publishes that must be done.
    publishes: BTreeSet<usize>,
}

/// Why a stage waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It reads its view.
    View,
    /// The check must pass.
    Check,
    /// It reads a table that the other publishes.
    Table,
}

impl Graph {
    /// Infers the graph; names that are not known and cycles become problems. Stages in `broken` are known by name.
    pub(crate) fn infer(
        file: &str,
        stages: &[Stage],
        broken: &[BrokenStage],
        problems: &mut Problems,
    ) -> Self {
        let mut inference = Inference {
            file,
            stages,
            broken,
            nodes: vec![Node::default(); stages.len()],
            problems,
        };
        inference.read_views();
        inference.read_tables();
        inference.read_checks();
        let mut graph = Self {
            nodes: inference.nodes,
            order: Vec::new(),
        };
        graph.order = graph.sort(file, stages, problems);
        graph
    }

    /// The stages, each after those that it waits for. Stages of a cycle are left out.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// What a stage waits for, and why.
    pub fn dependencies(&self, stage: usize) -> impl Iterator<Item = (usize, Reason)> + '_ {
        let node = self.nodes.get(stage);
        let of = |stages: &'_ BTreeSet<usize>, reason| {
            stages
                .iter()
                .map(|stage| (*stage, reason))
                .collect::<Vec<_>>()
        };
        node.into_iter().flat_map(move |node| {
            let mut all = of(&node.views, Reason::View);
            all.extend(of(&node.checks, Reason::Check));
            all.extend(of(&node.publishes, Reason::Table));
            all
        })
    }

    /// The views that a stage reads.
    pub(crate) fn views(&self, stage: usize) -> Vec<usize> {
        self.waits_for(stage, Reason::View)
    }

    /// The checks that guard a publish.
    pub(crate) fn checks(&self, stage: usize) -> Vec<usize> {
        self.waits_for(stage, Reason::Check)
    }

    /// The publishes that a stage waits for.
    pub(crate) fn publishes(&self, stage: usize) -> Vec<usize> {
        self.waits_for(stage, Reason::Table)
    }

    fn waits_for(&self, stage: usize, wanted: Reason) -> Vec<usize> {
        self.dependencies(stage)
            .filter(|(_, reason)| *reason == wanted)
            .map(|(stage, _)| stage)
            .collect()
    }

    /// A stage and every view that it is made from.
    pub(crate) fn made_from(&self, stage: usize) -> BTreeSet<usize> {
        self.closure(stage, &[Reason::View])
    }

    fn closure(&self, stage: usize, reasons: &[Reason]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = vec![stage];
        while let Some(stage) = open.pop() {
            if found.insert(stage) {
                let next = self.dependencies(stage);
                open.extend(next.filter(|(_, r)| reasons.contains(r)).map(|(s, _)| s));
            }
        }
        found
    }

    /// The stages to run. Nothing selected means all.
    ///
    /// `name` selects a stage with the views that it is made from and the checks that guard it; other tables are
    /// read as they are. `+name` selects all that it waits for, publishes too.
    ///
    /// # Errors
    /// When a name is not that of a stage.
    pub fn select(
        &self,
        stages: &[Stage],
        selected: &[String],
    ) -> Result<BTreeSet<usize>, EtlError> {
        if selected.is_empty() {
            return Ok((0..stages.len()).collect());
        }
        let mut all = BTreeSet::new();
        for text in selected {
            let (name, reasons): (&str, &[Reason]) = match text.strip_prefix('+') {
                Some(name) => (name, &[Reason::View, Reason::Check, Reason::Table]),
                None => (text, &[Reason::View, Reason::Check]),
            };
            let Some(stage) = stages.iter().position(|stage| stage.name == name) else {
                let known: Vec<&str> = stages.iter().map(|s| s.name.as_str()).collect();
                return Err(EtlError::request(
                    format!("the pipeline has no stage `{name}` to select"),
                    nearest_hint(name, &known),
                ));
            };
            all.extend(self.closure(stage, reasons));
        }
        Ok(all)
    }

    /// Sorts the stages; each cycle becomes a problem.
    fn sort(&self, file: &str, stages: &[Stage], problems: &mut Problems) -> Vec<usize> {
        let mut order = Vec::new();
        let mut cyclic: BTreeSet<usize> = BTreeSet::new();
        let mut open: BTreeSet<usize> = (0..stages.len()).collect();
        loop {
            let ready = open.iter().copied().find(|stage| {
                self.dependencies(*stage)
                    .all(|(s, _)| !open.contains(&s) || cyclic.contains(&s))
            });
            if let Some(stage) = ready {
                open.remove(&stage);
                if !cyclic.contains(&stage) {
                    order.push(stage);
                }
                continue;
            }
            let Some(cycle) = self.cycle(&open, &cyclic) else {
                return order;
            };
            problems.push(cycle_problem(file, stages, &cycle));
            cyclic.extend(cycle);
        }
    }

    /// Stages that wait for each other in a ring, the first of the file first.
    fn cycle(&self, open: &BTreeSet<usize>, known: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let mut path: Vec<usize> = vec![*open.iter().find(|stage| !known.contains(stage))?];
        loop {
            let last = *path.last()?;
            let next = self
                .dependencies(last)
                .map(|(stage, _)| stage)
                .find(|stage| open.contains(stage) && !known.contains(stage))?;
            if let Some(start) = path.iter().position(|stage| *stage == next) {
                let mut cycle = path.split_off(start);
                let first = cycle.iter().enumerate().min_by_key(|(_, stage)| **stage)?.0;
                cycle.rotate_left(first);
                return Some(cycle);
            }
            path.push(next);
        }
    }
}

fn cycle_problem(file: &str, stages: &[Stage], cycle: &[usize]) -> Problem {
    let first = cycle.first().copied();
    let ring: Vec<String> = cycle
        .iter()
        .copied()
        .chain(first)
        .filter_map(|index| stages.get(index))
        .map(|stage| format!("`{}` ({file}:{})", stage.name, stage.span.line))
        .collect();
    let span = first.and_then(|index| stages.get(index)).map(|s| s.span);
    let message = match cycle {
        [_] => format!("a stage waits for itself: {}", ring.join(" -> ")),
        _ => format!("stages wait for each other: {}", ring.join(" -> ")),
    };
    Problem::new(file, span, message).with_hint(
        "a stage waits for the views and tables that its SQL, its `view` and its rules name"
            .to_owned(),
    )
}

struct Inference<'a> {
    file: &'a str,
    stages: &'a [Stage],
    broken: &'a [BrokenStage],
    nodes: Vec<Node>,
    problems: &'a mut Problems,
}

impl Inference<'_> {
    /// Views that stages read by name.
    fn read_views(&mut self) {
        let broken = self.broken;
        for (view, span) in broken.iter().filter_map(|stage| stage.view.as_ref()) {
            self.expect_view(view, *span);
        }
        for (index, stage) in self.stages.iter().enumerate() {
            let named = match &stage.kind {
                StageKind::Type(stage) => Some((&stage.spec.view, stage.spec.view_span)),
                StageKind::Check(stage) => Some((&stage.view, stage.view_span)),
                StageKind::Publish(stage) => Some((&stage.view, stage.view_span)),
                StageKind::Extract(_) | StageKind::Sql(_) => None,
            };
            if let Some((view, span)) = named
                && let Some(view) = self.expect_view(view, span)
            {
                self.wait_for_view(index, view);
            }
            if matches!(stage.kind, StageKind::Publish(_)) {
                continue;
            }
            for name in tables_read(stage) {
                if let Some(view) = self.view(&name) {
                    self.wait_for_view(index, view);
                }
            }
        }
    }

    /// Publishes of tables that stages read.
    fn read_tables(&mut self) {
        let derived: Vec<BTreeSet<usize>> = {
            let graph = Graph {
                nodes: self.nodes.clone(),
                order: Vec::new(),
            };
            (0..self.stages.len()).map(|s| graph.made_from(s)).collect()
        };
        for (index, stage) in self.stages.iter().enumerate() {
            for name in tables_read(stage) {
                if self.view(&name).is_some() && !matches!(stage.kind, StageKind::Publish(_)) {
                    continue;
                }
                for publish in self.publishes_of(&name) {
                    // What the stage itself leads to comes after it.
                    let subject = match &stage.kind {
                        StageKind::Check(_) => self.nodes[index].views.first().copied(),
                        _ => Some(index),
                    };
                    let leads_to = subject.is_some_and(|s| derived[publish].contains(&s));
                    if publish != index && !leads_to {
                        self.wait_for_publish(index, publish);
                    }
                }
            }
            if let StageKind::Publish(stage) = &stage.kind {
                for publish in self.publishes_of(&stage.table) {
                    if publish < index {
                        self.wait_for_publish(index, publish);
                    }
                }
            }
        }
    }

    /// Checks that guard publishes.
    fn read_checks(&mut self) {
        let graph = Graph {
            nodes: self.nodes.clone(),
            order: Vec::new(),
        };
        for (index, stage) in self.stages.iter().enumerate() {
            if !matches!(stage.kind, StageKind::Publish(_)) {
                continue;
            }
            let views = graph.made_from(index);
            for (check, stage) in self.stages.iter().enumerate() {
                let StageKind::Check(stage) = &stage.kind else {
                    continue;
                };
                let judged = self.stages.iter().position(|s| s.name == stage.view);
                if judged.is_some_and(|judged| views.contains(&judged))
                    && let Some(node) = self.nodes.get_mut(index)
                {
                    node.checks.insert(check);
                }
            }
        }
    }

    fn expect_view(&mut self, name: &str, span: Span) -> Option<usize> {
        if self
            .broken
            .iter()
            .any(|broken| broken.name.as_deref() == Some(name))
        {
            return None;
        }
        match self.stages.iter().position(|stage| stage.name == name) {
            Some(index) if self.stages[index].kind.is_view() => Some(index),
            Some(index) => {
                let kind = self.stages[index].kind.name();
                let message = format!("`{name}` is a {kind} stage, which has no rows");
                self.problem(span, message, None);
                None
            }
            None => {
                let views = self.stages.iter().filter(|stage| stage.kind.is_view());
                let mut known: Vec<&str> = views.map(|stage| stage.name.as_str()).collect();
                known.extend(self.broken.iter().filter_map(|stage| stage.name.as_deref()));
                let hint = nearest_hint(name, &known);
                self.problem(span, format!("unknown view `{name}`"), hint);
                None
            }
        }
    }

    /// The stage whose view a name in SQL means.
    fn view(&self, name: &TableName) -> Option<usize> {
        if name.schema != DEFAULT_SCHEMA {
            return None;
        }
        self.stages
            .iter()
            .position(|stage| stage.name == name.table && stage.kind.is_view())
    }

    fn publishes_of(&self, table: &TableName) -> Vec<usize> {
        let publishes = self.stages.iter().enumerate().filter(
            |(_, stage)| matches!(&stage.kind, StageKind::Publish(stage) if stage.table == *table),
        );
        publishes.map(|(index, _)| index).collect()
    }

    fn wait_for_view(&mut self, stage: usize, view: usize) {
        if let Some(node) = self.nodes.get_mut(stage) {
            node.views.insert(view);
        }
    }

    fn wait_for_publish(&mut self, stage: usize, publish: usize) {
        if let Some(node) = self.nodes.get_mut(stage) {
            node.publishes.insert(publish);
        }
    }

    fn problem(&mut self, span: Span, message: String, hint: Option<String>) {
        self.problems
            .push(Problem::new(self.file, span, message).with_hint(hint));
    }
}

/// Tables and views that a stage reads, beside the view that it names by `view`.
///
/// The rules of a publish are judged at every door, so the names in them mean tables, never views.
fn tables_read(stage: &Stage) -> Vec<TableName> {
    match &stage.kind {
        StageKind::Extract(spec) => spec
            .table()
            .map(|(name, _)| name.clone())
            .into_iter()
            .collect(),
        StageKind::Sql(sql) => {
            let tables = sql.statement.tables().iter();
            tables
                .filter(|t| !t.only_at_version)
                .map(|t| t.name.clone())
                .collect()
        }
        StageKind::Check(check) => rule_tables(&check.suite),
        StageKind::Publish(publish) => publish
            .rules
            .as_deref()
            .map(rule_tables)
            .unwrap_or_default(),
        StageKind::Type(_) => Vec::new(),
    }
}

fn rule_tables(suite: &lakegate_rules::Suite) -> Vec<TableName> {
    let references = suite.references();
    references
        .iter()
        .filter_map(|r| r.name.parse().ok())
        .collect()
}
