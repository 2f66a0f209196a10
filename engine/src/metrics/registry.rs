//! Makes handles of catalogued metrics, and writes down what they hold.

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit as Measure};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::catalogue;
use super::metric::{Kind, Metric, Unit};

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up metrics: {0}")]
pub struct Error(#[from] BuildError);

/// What a recorder may know of a caller; ours asks for nothing.
static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// The metrics of a process.
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Registry {
    pub(super) fn new() -> Result<Self, Error> {
        let mut builder = PrometheusBuilder::new();
        for metric in catalogue::all() {
            if let Kind::Histogram(buckets) = metric.kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
            }
        }
        let recorder = builder.build_recorder();
        for metric in catalogue::all() {
            describe(&recorder, metric);
        }
        let handle = recorder.handle();
        Ok(Registry { recorder, handle })
    }

    /// The counter of a metric with these values of its labels.
    pub(super) fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, values), &METADATA)
    }

    /// Likewise a gauge.
    pub(super) fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(metric, values), &METADATA)
    }

    /// Likewise a histogram.
    pub(super) fn histogram(&self, metric: &Metric, values: &[&str]) -> Histogram {
        self.recorder.register_histogram(&key(metric, values), &METADATA)
    }

    pub(super) fn render(&self) -> String {
        self.handle.render()
    }

    pub(super) fn tidy_up(&self) {
        self.handle.run_upkeep();
    }
}

fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels = metric.labels.iter().zip(values);
    let labels = labels.map(|(label, value)| Label::new(label.name(), (*value).to_owned()));
    Key::from_parts(metric.name, labels.collect::<Vec<_>>())
}

fn describe(recorder: &PrometheusRecorder, metric: &Metric) {
    let (name, help) = (KeyName::from_const_str(metric.name), metric.help.into());
    let unit = match metric.unit {
        Unit::Seconds => Measure::Seconds,
        Unit::Bytes => Measure::Bytes,
        Unit::Count | Unit::Flag => Measure::Count,
    };
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, Some(unit), help),
        Kind::Gauge => recorder.describe_gauge(name, Some(unit), help),
        Kind::Histogram(_) => recorder.describe_histogram(name, Some(unit), help),
    }
}
