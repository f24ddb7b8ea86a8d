//! Numbers for Prometheus, in the OpenMetrics text format.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use std::sync::Arc;

use lakegate_engine::{Queries, QueryState};

/// The numbers of a server, each read as it is asked for.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new(queries: Arc<Queries>) -> Self {
        let mut registry = Registry::with_prefix("lakegate");
        registry.register_collector(Box::new(OfQueries(queries)));
        Self { registry }
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[derive(Debug)]
struct OfQueries(Arc<Queries>);

impl Collector for OfQueries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.counts();
        for (name, help, value) in [
            ("queries_running", "Queries that run", counts.running),
            (
                "queries_waiting",
                "Queries that wait for their turn",
                counts.waiting,
            ),
        ] {
            let gauge = ConstGauge::new(value as i64);
            let encoder = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(encoder)?;
        }
        let rows = ConstCounter::new(counts.rows);
        let help = "Rows that were given to clients";
        let descriptor = encoder.encode_descriptor("rows", help, None, rows.metric_type())?;
        rows.encode(descriptor)?;
        let counter = ConstCounter::new(0_u64);
        let help = "Queries that have ended";
        let mut family = encoder.encode_descriptor("queries", help, None, counter.metric_type())?;
        for state in QueryState::ALL {
            let ended = match state {
                QueryState::Done => counts.done,
                QueryState::Failed => counts.failed,
                QueryState::Cancelled => counts.cancelled,
            };
            let labels = [("state", state.as_str())];
            ConstCounter::new(ended).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
