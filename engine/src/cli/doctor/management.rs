//! What only the broker's management API tells: alarms, the nodes of a cluster, policies over our queues.

use std::time::Duration;

use serde_json::Value;

use super::Finding;
use crate::config::Config;

/// The management API must answer within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Queues that are looked at.
const QUEUES_MAX: usize = 500;
/// The shortest time that the broker may wait for an acknowledgement, in milliseconds: 30 minutes.
const CONSUMER_TIMEOUT_MIN: u64 = 1_800_000;
/// Policies that override what Warren's queues are declared with, or drop what is in them.
const FOREIGN_POLICIES: [&str; 6] =
    ["delivery-limit", "message-ttl", "expires", "max-length", "max-length-bytes", "overflow"];

/// Looks at the broker from inside, if the configuration says where.
pub async fn examine(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "broker management";
    let Some(url) = &config.broker.management_url else {
        let text = "not looked at: alarms, cluster and policies show with broker.management_url";
        return vec![Finding::well(CHECK, text)];
    };
    let management = match Management::new(url.reveal()) {
        Ok(management) => management,
        Err(error) => return vec![Finding::failure(CHECK, error, "set broker.management_url")],
    };
    let prefix = &config.broker.prefix;
    let path = format!("/api/queues?page=1&page_size={QUEUES_MAX}&name={prefix}");
    match (management.get("/api/nodes").await, management.get(&path).await) {
        (Ok(found), Ok(queues)) => vec![nodes(&found), policies(&queues["items"], prefix)],
        (Err(error), _) | (_, Err(error)) => {
            let mend = "set broker.management_url to its address with the login of a monitoring user";
            vec![Finding::warning(CHECK, format!("{url}: {error}"), mend)]
        }
    }
}

struct Management {
    client: reqwest::Client,
    url: String,
}

impl Management {
    fn new(url: &str) -> Result<Self, String> {
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Management { client, url: url.trim_end_matches('/').to_owned() })
    }

    /// Errors do not hold the address, which may hold a password.
    async fn get(&self, path: &str) -> Result<Value, String> {
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.map_err(failed)?;
        answer.error_for_status().map_err(failed)?.json().await.map_err(failed)
    }
}

fn nodes(nodes: &Value) -> Finding {
    const CHECK: &str = "broker nodes";
    let nodes = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
    let troubled = |node: &&Value| {
        let is = |key: &str| node[key].as_bool().unwrap_or(false);
        let parted = node["partitions"].as_array().is_some_and(|partitions| !partitions.is_empty());
        !is("running") || is("mem_alarm") || is("disk_free_alarm") || parted
    };
    let names = |nodes: &[&Value]| {
        nodes.iter().filter_map(|node| node["name"].as_str()).collect::<Vec<_>>().join(", ")
    };
    let troubled: Vec<&Value> = nodes.iter().filter(troubled).collect();
    if !troubled.is_empty() {
        let mend = "see `rabbitmq-diagnostics alarms` and `cluster_status` there";
        return Finding::failure(CHECK, format!("{}: down, parted or in alarm", names(&troubled)), mend);
    }
    let count = nodes.len();
    if count > 1 && count.is_multiple_of(2) {
        let mend = "use an odd number of nodes: half of them must never be a majority";
        return Finding::warning(CHECK, format!("{count} run"), mend);
    }
    Finding::well(CHECK, format!("{count} run, without alarm"))
}

fn policies(queues: &Value, prefix: &str) -> Finding {
    const CHECK: &str = "broker policies";
    let queues = queues.as_array().map(Vec::as_slice).unwrap_or_default();
    for queue in queues {
        let name = queue["name"].as_str().unwrap_or_default();
        let policy = &queue["effective_policy_definition"];
        if !name.starts_with(prefix) {
            continue;
        }
        if let Some(key) = FOREIGN_POLICIES.iter().find(|key| !policy[**key].is_null()) {
            let mend = "exclude Warren's queues from the policy's pattern";
            return Finding::failure(CHECK, format!("a policy sets {key} for {name}"), mend);
        }
        let timeout =
            policy["consumer-timeout"].as_u64().or(queue["arguments"]["x-consumer-timeout"].as_u64());
        if let Some(milliseconds) = timeout.filter(|milliseconds| *milliseconds < CONSUMER_TIMEOUT_MIN) {
            let text = format!("consumers of {name} are given {milliseconds} ms to acknowledge");
            return Finding::warning(CHECK, text, format!("give them {CONSUMER_TIMEOUT_MIN} ms or more"));
        }
    }
    Finding::well(CHECK, format!("none touches the {} queues", queues.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::doctor::Verdict;

    fn check(finding: &Finding, verdict: Verdict, says: &str) {
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        assert!(finding.finding.contains(says), "{finding:?}");
    }

    #[test]
    fn nodes_are_to_run_without_alarm_and_in_odd_numbers() {
        let node = |name: &str| json!({ "name": name, "running": true, "partitions": [] });
        check(&nodes(&json!([node("a")])), Verdict::Well, "1 run");
        check(&nodes(&json!([node("a"), node("b")])), Verdict::Warning, "2 run");
        let alarmed = json!({ "name": "b", "running": true, "mem_alarm": true });
        check(&nodes(&json!([node("a"), alarmed])), Verdict::Failure, "b: ");
        check(&nodes(&json!([{ "name": "a", "running": false }])), Verdict::Failure, "a: ");
    }

    #[test]
    fn policies_must_leave_our_queues_alone() {
        let queue =
            |name: &str, policy: Value| json!([{ "name": name, "effective_policy_definition": policy }]);
        check(&policies(&queue("w.a", json!({})), "w."), Verdict::Well, "1 queues");
        check(&policies(&queue("x.a", json!({ "message-ttl": 1 })), "w."), Verdict::Well, "none");
        check(&policies(&queue("w.a", json!({ "message-ttl": 1 })), "w."), Verdict::Failure, "message-ttl");
        check(
            &policies(&queue("w.a", json!({ "consumer-timeout": 60_000 })), "w."),
            Verdict::Warning,
            "60000",
        );
    }
}
