//! A model of the guard, written anew from the rule and not from its code: what a review must be answered under a policy, and
//! random jobs, edits and policies to ask about. The property tests and the fuzzer compare the guard with it.

pub mod amount;
pub mod edits;
pub mod jobs;
pub mod reference;
pub mod review;
pub mod sketch;
pub mod tree;
