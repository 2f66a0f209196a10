//! Every quota of the language, with its unit in its name.
//!
//! The values are those of AWS (Step Functions quotas) where AWS has one; the rest keeps hostile input
//! from costing more than it should.

/// Longest definition, in bytes of UTF-8 (1 MiB).
pub const DEFINITION_BYTES_MAX: usize = 1_048_576;
/// Most states in one definition, those of all branches and iterations included.
pub const STATES_MAX: usize = 10_000;
/// Deepest nesting of `Parallel` and `Map` states.
pub const STATE_DEPTH_MAX: usize = 64;
/// Deepest nesting of a JSON value that an execution reads or produces.
pub const JSON_DEPTH_MAX: usize = 128;
/// Longest input or output of a task, a state or an execution, in bytes of compact JSON (256 KiB).
pub const PAYLOAD_BYTES_MAX: usize = 262_144;
/// Longest value of a variable, in bytes of compact JSON (256 KiB).
pub const VARIABLE_BYTES_MAX: usize = 262_144;
/// Longest sum of the names and values of one `Assign`, in bytes of compact JSON (256 KiB).
pub const ASSIGN_BYTES_MAX: usize = 262_144;
/// Longest sum of all variables that a branch sees, in bytes of compact JSON (10 MiB).
pub const VARIABLES_BYTES_MAX: usize = 10_485_760;
/// Most history events of a Standard execution; the last one is `ExecutionFailed`.
pub const HISTORY_EVENTS_MAX: u64 = 25_000;
/// Longest name of a state, a state machine, an execution or an activity, in characters.
pub const NAME_CHARACTERS_MAX: usize = 80;
/// Longest error name, in characters.
pub const ERROR_CHARACTERS_MAX: usize = 256;
/// Longest cause, in characters.
pub const CAUSE_CHARACTERS_MAX: usize = 32_768;
/// Iterations of an inline Map that run at a time when `MaxConcurrency` is 0 or absent.
pub const MAP_CONCURRENCY_DEFAULT: u32 = 40;
/// Most bytes that the inputs of all children of one fork may have together (128 MiB): an `ItemSelector`
/// that repeats a large input for each of many items would otherwise take memory out of proportion.
pub const FORK_BYTES_MAX: usize = 134_217_728;
/// Most seconds a `Wait` may last: 2³¹ s, beyond which AWS answers that the delay is too long.
pub const WAIT_SECONDS_MAX: i64 = 2_147_483_647;
/// Inputs and outputs that the states of one transition record together before it ends, in bytes.
pub const FUSED_BYTES_MAX: usize = 262_144;
/// Most seconds of an Express execution (5 minutes).
pub const EXPRESS_SECONDS_MAX: u32 = 300;
/// Seconds that stand for "no limit" in `TimeoutSeconds` and `HeartbeatSeconds`.
pub const TIMEOUT_SECONDS_MAX: u32 = 99_999_999;

/// The limits that a service may set; [`Limits::default`] is AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// See [`PAYLOAD_BYTES_MAX`].
    pub payload_bytes_max: usize,
    /// See [`HISTORY_EVENTS_MAX`].
    pub history_events_max: u64,
    /// See [`MAP_CONCURRENCY_DEFAULT`].
    pub map_concurrency_default: u32,
    /// States that one transition may run through where they touch nothing outside (Pass, Choice, Succeed,
    /// Fail); at least 1, which makes each a transition of its own.
    pub fused_states_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            history_events_max: HISTORY_EVENTS_MAX,
            map_concurrency_default: MAP_CONCURRENCY_DEFAULT,
            fused_states_max: 1,
        }
    }
}
