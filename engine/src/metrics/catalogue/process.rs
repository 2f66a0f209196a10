//! The process.

use crate::metrics::metric::Label::{Roles, Version};
use crate::metrics::metric::{Metric, Unit};

metrics! {
    BUILD = Metric::gauge(
        "warren_build_info",
        Unit::Count,
        &[Version, Roles],
        "1, with the release and the roles of the process.",
    );

    CPU = Metric::counter(
        "process_cpu_seconds_total",
        &[],
        "Time of the processor that the process has used.",
    )
    .in_unit(Unit::Seconds);

    RESIDENT = Metric::gauge(
        "process_resident_memory_bytes",
        Unit::Bytes,
        &[],
        "Memory that the process has.",
    );

    VIRTUAL = Metric::gauge(
        "process_virtual_memory_bytes",
        Unit::Bytes,
        &[],
        "Addresses that the process has taken.",
    );

    THREADS = Metric::gauge("process_threads", Unit::Count, &[], "Threads of the process.");

    OPEN_FILES = Metric::gauge(
        "process_open_fds",
        Unit::Count,
        &[],
        "Files and connections that the process has open.",
    );

    FILES_MAX = Metric::gauge(
        "process_max_fds",
        Unit::Count,
        &[],
        "Files and connections that it may have open.",
    );

    STARTED_AT = Metric::gauge(
        "process_start_time_seconds",
        Unit::Seconds,
        &[],
        "When the process was started, in seconds since 1970.",
    );
}
