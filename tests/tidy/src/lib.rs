//! The house rules, each a function from files to findings. `tests/repository.rs` runs them over this
//! repository; beside each rule stands a test that feeds it a bad sample.
#![forbid(unsafe_code)]

pub mod tree;
pub mod tokens;
pub mod crate_table;
pub mod direction;
pub mod shape;
pub mod words;
pub mod links;
pub mod proofs;
pub mod numbers;
