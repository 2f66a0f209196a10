//! Reads YAML as JSON.

use serde_json::Value;
use serde_saphyr::{Options, UserMessageFormatter};

/// Deepest nesting of a file.
const DEPTH_MAX: usize = 64;

/// Reads one document. Texts that merely look like something else stay texts: `no` is no boolean, and
/// `000000000000` no number, as people write account numbers so.
///
/// `nodes_max` bounds the values in it, those that aliases repeat included.
pub fn read(text: &str, nodes_max: usize) -> Result<Value, String> {
    serde_saphyr::from_str_with_options(text, options(nodes_max))
        .map_err(|error| error.without_snippet().render_with_formatter(&UserMessageFormatter))
}

fn options(nodes_max: usize) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: nodes_max,
            max_events: 2 * nodes_max,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: nodes_max,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
    }
}
