//! The plan for each situation of a cluster, and what holds of every sequence of them. No cluster is needed.

mod random;
mod scene;
mod several;
mod situations;
