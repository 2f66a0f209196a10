//! Activities, and the long poll of their workers.

use std::time::Duration;

use serde_json::{Value, json};

use super::errors::ApiError;
use super::hand_over::Reply;
use super::lookup;
use super::pages::PageRequest;
use super::parameters::Parameters;
use super::{settings, tags};
use crate::names;
use crate::ports::broker::Queue;
use crate::ports::catalog::Activity;
use crate::services::Core;

/// How long a poll waits for a task (AWS: 60 s).
const POLL: Duration = Duration::from_secs(60);

/// CreateActivity. The same name again answers the activity that is there, whose tags stay as they are.
pub async fn create(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let name = parameters.required("name");
    names::check(name)?;
    let tags = tags::of_new(core, parameters)?;
    settings::check_encryption(parameters)?;
    check_room(core, name).await?;
    // Before the activity exists, so that no task of it finds no queue.
    core.broker.declare(&[Queue::activity(name)]).await.map_err(crate::services::Unavailable::from)?;
    let activity = Activity { name: name.to_owned(), created_at: core.clock.now() };
    let activity = core.catalog.create_activity(activity, tags).await?;
    let arn = core.home.activity(&activity.name);
    Ok(json!({"activityArn": arn, "creationDate": activity.created_at.seconds()}))
}

/// Whether one more may be made; the same again needs no room.
async fn check_room(core: &Core, name: &str) -> Result<(), ApiError> {
    let activities_max = core.quotas.activities_max;
    let is_full = core.catalog.count_activities().await? >= u64::from(activities_max);
    if is_full && core.catalog.activity(name).await?.is_none() {
        let message =
            format!("Activity Limit Exceeded: there are {activities_max} activities, the most there can be");
        return Err(ApiError::new("ActivityLimitExceeded", message));
    }
    Ok(())
}

/// DeleteActivity. Deleting what is gone is no error.
pub async fn delete(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    if let Some(name) = lookup::activity_name(core, parameters.required("activityArn"))? {
        core.catalog.delete_activity(name).await?;
        core.broker.delete(&Queue::activity(name)).await.map_err(crate::services::Unavailable::from)?;
    }
    Ok(json!({}))
}

/// DescribeActivity.
pub async fn describe(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let activity = find(core, parameters.required("activityArn")).await?;
    Ok(json!({
        "activityArn": core.home.activity(&activity.name),
        "name": activity.name,
        "creationDate": activity.created_at.seconds(),
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
    }))
}

/// ListActivities.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let request = PageRequest::read(&core.tokens, "activities", parameters)?;
    let page = core.catalog.activities(request.limit, request.from.as_deref()).await?;
    let items = page.items.iter().map(|activity| {
        json!({
            "activityArn": core.home.activity(&activity.name),
            "name": activity.name,
            "creationDate": activity.created_at.seconds(),
        })
    });
    Ok(request.answer("activities", items.collect(), page.next.as_deref()))
}

/// GetActivityTask: a task, or an empty answer after [`POLL`].
pub async fn take_task(core: &Core, parameters: &Parameters) -> Result<Reply, ApiError> {
    let activity = find(core, parameters.required("activityArn")).await?;
    let _waits = core.pollers.enter(&activity.name, core.quotas.activity_workers_max).ok_or_else(|| {
        let message =
            "The maximum number of workers concurrently polling for activity tasks has been reached.";
        ApiError::new("ActivityWorkerLimitExceeded", message)
    })?;
    let worker = parameters.text("workerName").map(str::to_owned);
    Ok(match core.take_activity_task(&activity.name, worker, POLL).await? {
        Some(task) => Reply::Task(json!({"taskToken": task.token, "input": task.input}), task.hand_over),
        None => Reply::Json(json!({})),
    })
}

async fn find(core: &Core, arn: &str) -> Result<Activity, ApiError> {
    let found = match lookup::activity_name(core, arn)? {
        Some(name) => core.catalog.activity(name).await?,
        None => None,
    };
    found.ok_or_else(|| ApiError::no_activity(arn))
}
