//! What the data of a state became on its way, for those who look at one state closely.

use serde_json::Value;

/// A step on the way, by its name in the `InspectionData` of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// JSONPath: the effective input.
    AfterInputPath,
    /// JSONPath: what the work is done on.
    AfterParameters,
    /// JSONata: what the work is done on.
    AfterArguments,
    /// JSONPath: the items of a Map.
    AfterItemsPath,
    /// The inputs of a Map's iterations, where they are selected.
    AfterItemSelector,
    /// `MaxConcurrency` of a Map; 0 where it is not bounded.
    MaxConcurrency,
    /// `ToleratedFailureCount` of a Map.
    ToleratedFailureCount,
    /// `ToleratedFailurePercentage` of a Map.
    ToleratedFailurePercentage,
    /// What the work led to.
    Result,
    /// JSONPath: what was taken of that.
    AfterResultSelector,
    /// JSONPath: the input and that, together.
    AfterResultPath,
}

impl Step {
    /// Whether it is a number that bounds the work, and no data.
    pub fn is_count(self) -> bool {
        matches!(self, Step::MaxConcurrency | Step::ToleratedFailureCount | Step::ToleratedFailurePercentage)
    }

    /// The member of `InspectionData`.
    pub fn name(self) -> &'static str {
        match self {
            Step::AfterInputPath => "afterInputPath",
            Step::AfterParameters => "afterParameters",
            Step::AfterArguments => "afterArguments",
            Step::AfterItemsPath => "afterItemsPath",
            Step::AfterItemSelector => "afterItemSelector",
            Step::MaxConcurrency => "maxConcurrency",
            Step::ToleratedFailureCount => "toleratedFailureCount",
            Step::ToleratedFailurePercentage => "toleratedFailurePercentage",
            Step::Result => "result",
            Step::AfterResultSelector => "afterResultSelector",
            Step::AfterResultPath => "afterResultPath",
        }
    }
}

/// Values by the step at which they were seen. Executions keep none: nobody looks.
#[derive(Debug, Default)]
pub struct Steps(Option<Vec<(Step, Value)>>);

impl Steps {
    /// Keeps what is noted.
    pub fn kept() -> Self {
        Steps(Some(Vec::new()))
    }

    /// Whether somebody looks.
    pub fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps a value, if somebody looks. A second one of the same step replaces the first.
    pub fn note(&mut self, step: Step, value: &Value) {
        if let Some(seen) = &mut self.0 {
            seen.retain(|(known, _)| *known != step);
            seen.push((step, value.clone()));
        }
    }

    /// What was kept, in the order in which it was seen.
    pub fn into_seen(self) -> Vec<(Step, Value)> {
        self.0.unwrap_or_default()
    }
}
