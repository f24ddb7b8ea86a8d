//! Kinds of registries, one file each.

pub(crate) mod embedded;
