//! What a measure means, in 16 bytes: equal only for measures whose states over the same rows are equal.
//!
//! Written from the expressions themselves, not from their print, in which a text may look like a column. What is not
//! known to give the same answer at all times has no fingerprint, and its states are not kept. A later DataFusion may
//! name things otherwise, which costs computing the states once more.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::prelude::SessionContext;
use sha2::{Digest, Sha256};

use super::codec::{VERSION, Writer};
use super::scalar;
use crate::plan::Measure;
use crate::row_test;

/// Bytes of a fingerprint, and of a part's key: so many of a SHA-256 hash that no two are equal by chance.
pub(crate) const HASH_BYTES: usize = 16;

/// What a measure means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fingerprint(pub(crate) [u8; HASH_BYTES]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first bytes of the SHA-256 hash.
pub(crate) fn short_hash(bytes: &[u8]) -> [u8; HASH_BYTES] {
    let mut short = [0; HASH_BYTES];
    for (to, from) in short.iter_mut().zip(Sha256::digest(bytes)) {
        *to = from;
    }
    short
}

impl Fingerprint {
    /// The fingerprint of a measure over the rows that pass a filter, for columns with these types and the settings of
    /// this session; none when its states may not be kept.
    pub(crate) fn of(
        measure: &Measure,
        filter: Option<&Expr>,
        schema: &Schema,
        session: &SessionContext,
    ) -> Option<Self> {
        let mut meaning = Meaning::default();
        let to = &mut meaning.to;
        to.u16(VERSION);
        let state = session.state_ref();
        {
            let state = state.read();
            let options = state.config_options();
            to.text(options.execution.time_zone.as_deref().unwrap_or(""));
            to.bool(options.execution.enable_ansi_mode);
        }
        to.text(measure.name());
        let parameters = measure.parameters();
        to.u64(parameters.len() as u64);
        parameters.iter().for_each(|parameter| to.f64(*parameter));
        let inputs = measure.inputs();
        let is_column = |expr: &&Expr| matches!(expr, Expr::Column(_));
        if !inputs.iter().chain(&filter).all(is_column) {
            // Another version may compute another answer.
            to.text(datafusion::DATAFUSION_VERSION);
            to.text(env!("CARGO_PKG_VERSION"));
        }
        to.u64(inputs.len() as u64);
        for input in inputs {
            meaning.expr(input)?;
        }
        meaning.to.bool(filter.is_some());
        if let Some(filter) = filter {
            meaning.expr(filter)?;
        }
        let columns = std::mem::take(&mut meaning.columns);
        meaning.to.u64(columns.len() as u64);
        for name in columns.into_keys() {
            meaning.to.text(&name);
            meaning.data_type(schema.field_with_name(&name).ok()?.data_type());
        }
        Some(Self(short_hash(meaning.to.as_bytes())))
    }
}

/// Writes what expressions mean. `None` is for those that may not be kept.
#[derive(Default)]
struct Meaning {
    to: Writer,
    /// The columns that the expressions read.
    columns: BTreeMap<String, ()>,
}

impl Meaning {
    fn data_type(&mut self, data_type: &DataType) {
        self.to.text(&format!("{data_type:?}"));
    }

    fn exprs<'e>(&mut self, exprs: impl ExactSizeIterator<Item = &'e Expr>) -> Option<()> {
        self.to.u64(exprs.len() as u64);
        for expr in exprs {
            self.expr(expr)?;
        }
        Some(())
    }

    fn optional(&mut self, expr: Option<&Expr>) -> Option<()> {
        self.exprs(expr.into_iter())
    }

    fn one(&mut self, tag: &str, expr: &Expr) -> Option<()> {
        self.to.text(tag);
        self.expr(expr)
    }

    fn expr(&mut self, expr: &Expr) -> Option<()> {
        match expr {
            Expr::Alias(alias) => self.expr(&alias.expr),
            Expr::Column(column) if column.relation.is_none() => {
                self.columns.insert(column.name.clone(), ());
                self.to.text("column");
                self.to.text(&column.name);
                Some(())
            }
            Expr::Literal(value, None) => self.literal(value),
            Expr::BinaryExpr(binary) => {
                self.to.text("binary");
                self.to.text(&format!("{:?}", binary.op));
                self.expr(&binary.left)?;
                self.expr(&binary.right)
            }
            Expr::Like(like) | Expr::SimilarTo(like) => {
                let is_like = matches!(expr, Expr::Like(_));
                self.to.text(if is_like { "like" } else { "similar to" });
                self.to.bool(like.negated);
                self.to.bool(like.case_insensitive);
                self.to.u64(like.escape_char.map_or(u64::MAX, u64::from));
                self.expr(&like.expr)?;
                self.expr(&like.pattern)
            }
            Expr::Not(expr) => self.one("not", expr),
            Expr::IsNotNull(expr) => self.one("is not null", expr),
            Expr::IsNull(expr) => self.one("is null", expr),
            Expr::IsTrue(expr) => self.one("is true", expr),
            Expr::IsFalse(expr) => self.one("is false", expr),
            Expr::IsUnknown(expr) => self.one("is unknown", expr),
            Expr::IsNotTrue(expr) => self.one("is not true", expr),
            Expr::IsNotFalse(expr) => self.one("is not false", expr),
            Expr::IsNotUnknown(expr) => self.one("is not unknown", expr),
            Expr::Negative(expr) => self.one("negative", expr),
            Expr::Between(between) => {
                self.to.text("between");
                self.to.bool(between.negated);
                self.expr(&between.expr)?;
                self.expr(&between.low)?;
                self.expr(&between.high)
            }
            Expr::Case(case) => {
                self.to.text("case");
                self.optional(case.expr.as_deref())?;
                self.to.u64(case.when_then_expr.len() as u64);
                for (when, then) in &case.when_then_expr {
                    self.expr(when)?;
                    self.expr(then)?;
                }
                self.optional(case.else_expr.as_deref())
            }
            Expr::Cast(cast) => {
                self.to.text("cast");
                self.data_type(cast.field.data_type());
                self.expr(&cast.expr)
            }
            Expr::TryCast(cast) => {
                self.to.text("try cast");
                self.data_type(cast.field.data_type());
                self.expr(&cast.expr)
            }
            Expr::InList(list) => {
                self.to.text("in");
                self.to.bool(list.negated);
                self.expr(&list.expr)?;
                self.exprs(list.list.iter())
            }
            Expr::ScalarFunction(call) => self.call(call),
            _ => None,
        }
    }

    fn literal(&mut self, value: &ScalarValue) -> Option<()> {
        self.to.text("literal");
        self.data_type(&value.data_type());
        self.to.bool(value.is_null());
        if value.is_null() {
            return Some(());
        }
        scalar::write(value, &mut self.to)
    }

    fn call(&mut self, call: &ScalarFunction) -> Option<()> {
        if let Some(test) = row_test::of_function(&call.func) {
            let meaning = test.meaning()?;
            self.to.text("row test");
            self.to.u64(meaning.len() as u64);
            meaning.iter().for_each(|part| self.to.text(part));
        } else {
            if call.func.signature().volatility != Volatility::Immutable {
                return None;
            }
            self.to.text("function");
            self.to.text(call.func.name());
        }
        self.exprs(call.args.iter())
    }
}

#[cfg(test)]
mod tests;
