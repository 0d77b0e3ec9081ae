//! A validating admission webhook that keeps updates of PyTorchJobs to the fields a running training job may change.

pub mod admission;
pub mod certificates;
pub mod cli;
pub mod commands;
pub mod server;
