//! What statements make of tables.

mod merge;
mod merge_model;
mod rows;
mod times;
mod values;
