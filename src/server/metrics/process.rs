//! The metrics of the process, under the names that every Prometheus client library gives them.

use std::fmt;

use procfs::{ProcResult, process::Process as Proc};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Reads `/proc` at each scrape. Where it cannot be read, there are no such metrics.
#[derive(Debug)]
pub(super) struct ProcessCollector;

struct Sample {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_fds: u64,
    max_fds: u64,
    start_seconds: f64,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "ticks of centuries are below 2^52")]
    fn take() -> ProcResult<Self> {
        let process = Proc::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            procfs::process::LimitValue::Value(value) => value,
            procfs::process::LimitValue::Unlimited => u64::MAX,
        };
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss * procfs::page_size(),
            virtual_bytes: stat.vsize,
            open_fds: process.fd_count()? as u64,
            max_fds,
            start_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
        })
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(sample) = Sample::take() else { return Ok(()) };
        let (counter, gauge) = (MetricType::Counter, MetricType::Gauge);
        let cpu =
            encoder.encode_descriptor("process_cpu", "CPU time of user and system", Some(&Unit::Seconds), counter)?;
        ConstCounter::new(sample.cpu_seconds).encode(cpu)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory", sample.resident_bytes),
            ("process_virtual_memory_bytes", "Virtual memory", sample.virtual_bytes),
            ("process_open_fds", "Open file descriptors", sample.open_fds),
            ("process_max_fds", "Limit of open file descriptors", sample.max_fds),
        ] {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, gauge)?)?;
        }
        let help = "Start of the process, in seconds since 1970";
        let start = encoder.encode_descriptor("process_start_time_seconds", help, None, gauge)?;
        ConstGauge::new(sample.start_seconds).encode(start)
    }
}
