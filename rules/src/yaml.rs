//! YAML with places: a tree of nodes that know where they stand, and problems that say so.
//!
//! Rule files, pipelines, schema files and `lakegate.yaml` are all read through this module, so
//! that one reading reports everything that is wrong, each problem at its line and column.
//! Scalars follow the core schema of YAML 1.2: `no` and `on` are text.

mod fields;
mod node;
mod parse;
mod problem;
mod scalar;

#[cfg(test)]
mod tests;

pub use fields::Fields;
pub use node::{Entry, Node, Value};
pub use parse::{decode, parse};
pub use problem::{Problem, Problems, Span, nearest, nearest_hint};
pub use scalar::{Resolved, Scalar, parse_bytes, parse_duration};
