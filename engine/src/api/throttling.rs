//! How many requests of each action are taken: AWS's quotas, and what is configured in their place.

use super::parameters::Action;
use crate::services::throttle::Bucket;

/// Stands for every action that is not named.
const EVERY: &str = "*";

/// The buckets of a process: AWS's if those are wanted, and in their place those given by the names of actions.
pub fn buckets(as_aws: bool, given: &[(String, Bucket)]) -> Result<Vec<(&'static str, Bucket)>, String> {
    for (name, _) in given {
        if name != EVERY && Action::named(name).is_none() {
            return Err(format!(
                "throttling.requests: there is no action '{name}'; write its name, or * for all"
            ));
        }
    }
    let own = |name: &str| given.iter().rev().find(|(given, _)| given == name).map(|(_, bucket)| *bucket);
    let bucket = |action: Action| {
        let bucket = own(action.name()).or_else(|| own(EVERY)).or_else(|| as_aws.then(|| of_aws(action)));
        Some((action.name(), bucket?))
    };
    Ok(Action::all().filter_map(bucket).collect())
}

/// The quota of an account in us-east-1, as documented.
fn of_aws(action: Action) -> Bucket {
    let (burst, per_second) = match action {
        Action::StartExecution | Action::RedriveExecution => (1_300, 300),
        Action::StartSyncExecution => (6_000, 6_000),
        Action::StopExecution => (1_000, 200),
        Action::GetActivityTask
        | Action::SendTaskSuccess
        | Action::SendTaskFailure
        | Action::SendTaskHeartbeat => (3_000, 500),
        Action::DescribeExecution => (300, 15),
        Action::GetExecutionHistory => (400, 20),
        Action::ListExecutions => (200, 5),
        Action::ListStateMachines => (100, 5),
        Action::TestState => (50, 10),
        Action::ListActivities => (100, 10),
        Action::DescribeStateMachine => (200, 20),
        Action::DescribeActivity
        | Action::DescribeMapRun
        | Action::DescribeStateMachineAlias
        | Action::DescribeStateMachineForExecution
        | Action::TagResource
        | Action::UntagResource => (200, 1),
        Action::CreateActivity
        | Action::CreateStateMachine
        | Action::CreateStateMachineAlias
        | Action::DeleteActivity
        | Action::DeleteStateMachine
        | Action::DeleteStateMachineAlias
        | Action::DeleteStateMachineVersion
        | Action::ListMapRuns
        | Action::ListStateMachineAliases
        | Action::ListStateMachineVersions
        | Action::ListTagsForResource
        | Action::PublishStateMachineVersion
        | Action::UpdateMapRun
        | Action::UpdateStateMachine
        | Action::UpdateStateMachineAlias
        | Action::ValidateStateMachineDefinition => (100, 1),
    };
    Bucket { burst, per_second }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(as_aws: bool, given: &[(&str, u32)], expected: &[(&str, Option<u32>)]) {
        let bucket = |burst| Bucket { burst, per_second: 1 };
        let given: Vec<_> = given.iter().map(|(name, burst)| ((*name).to_owned(), bucket(*burst))).collect();
        let buckets = buckets(as_aws, &given).unwrap();
        for (name, burst) in expected {
            let found = buckets.iter().find(|(action, _)| action == name).map(|(_, bucket)| bucket.burst);
            assert_eq!(found, *burst, "{name}");
        }
    }

    #[test]
    fn the_nearest_word_counts() {
        check(false, &[], &[("StartExecution", None), ("TagResource", None)]);
        check(true, &[], &[("StartExecution", Some(1_300)), ("TagResource", Some(200))]);
        check(true, &[("TagResource", 7)], &[("StartExecution", Some(1_300)), ("TagResource", Some(7))]);
        check(false, &[("TagResource", 7)], &[("StartExecution", None), ("TagResource", Some(7))]);
        check(
            true,
            &[("TagResource", 7), ("*", 9)],
            &[("StartExecution", Some(9)), ("TagResource", Some(7))],
        );
    }

    #[test]
    fn an_action_that_is_not_there_is_named() {
        let bucket = Bucket { burst: 1, per_second: 1 };
        let error = buckets(false, &[("Start".to_owned(), bucket)]).unwrap_err();
        assert!(error.contains("'Start'"), "{error}");
    }
}
