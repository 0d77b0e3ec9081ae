//! A guard that can be asked, whatever runs it.

use std::{io, net::SocketAddr};

use crate::{eventually, http, http::Reply, metrics};

/// A guard that can be asked: a process of its own, or a server in the process of the test.
pub trait Serves {
    /// The address of the webhook.
    fn address(&self) -> SocketAddr;

    /// The address of probes and metrics.
    fn admin_address(&self) -> SocketAddr;

    /// The CA of its certificate, PEM.
    fn ca(&self) -> String;

    /// Asks the admin port, and returns the status code and the body.
    #[track_caller]
    fn admin(&self, path: &str) -> (u16, String) {
        self.try_admin(path).expect("the admin port answers")
    }

    fn try_admin(&self, path: &str) -> io::Result<(u16, String)> {
        self.probe(path).map(|reply| (reply.code, reply.body))
    }

    /// Asks the admin port, and returns all of the response.
    fn probe(&self, path: &str) -> io::Result<Reply> {
        http::get(self.admin_address(), path)
    }

    /// Its metrics, as Prometheus reads them.
    #[track_caller]
    fn metrics(&self) -> String {
        let (code, page) = self.admin("/metrics");
        assert_eq!(code, 200, "{page}");
        page
    }

    /// The value of a metric, named with its labels and without the prefix; 0 where there is none.
    #[track_caller]
    fn metric(&self, name: &str) -> f64 {
        metrics::value(&self.metrics(), name).unwrap_or(0.0)
    }

    /// The value of a metric that counts, if the page has one.
    fn count(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(metrics::value(&self.probe("/metrics")?.body, name))
    }

    /// Waits until a metric has this value.
    #[track_caller]
    fn await_metric(&self, name: &str, value: f64) {
        eventually(&format!("{name} is {value}"), || (self.metric(name) - value).abs() < f64::EPSILON);
    }
}
