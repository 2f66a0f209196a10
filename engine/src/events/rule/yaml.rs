//! Reads YAML as JSON.

use serde_json::Value;
use serde_saphyr::{Options, UserMessageFormatter};

/// Most nodes of a file, those that aliases repeat included.
const NODES_MAX: usize = 10_000;
/// Deepest nesting of a file.
const DEPTH_MAX: usize = 64;

/// Reads one document. Texts that merely look like something else stay texts: `no` is no boolean, and
/// `000000000000` no number, as people write account numbers so.
pub(super) fn read(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| error.without_snippet().render_with_formatter(&UserMessageFormatter))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 2 * NODES_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES_MAX,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
    }
}
