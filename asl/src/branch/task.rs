//! `Task`: schedules a call, and goes on when it has ended.

use serde_json::Value;

use super::turn::Turn;
use super::{
    Answer, BranchFailure, Effect, EventRef, Source, Stage, StaleEvent, TaskAttempt, TaskRequest, Waiting,
};
use crate::data::failure::names;
use crate::data::random::Random;
use crate::data::steps::Step;
use crate::data::timestamp::Timestamp;
use crate::data::{Context, Failure, Problem, Scope};
use crate::history::{EventKind, TaskName, TaskScheduled};
use crate::limits::TIMEOUT_SECONDS_MAX;
use crate::program::{Pattern, Quantity, Resource, ServiceResource, StateKind, Task};

impl<'a> Turn<'a> {
    /// One attempt: makes the parameters and sends the task out.
    pub(super) fn schedule_task(&mut self, task: &Task) -> Result<(), Problem> {
        if let (Resource::Activity { arn }, true) = (&task.resource, self.tick.activity_missing) {
            return Err(Failure::runtime(format!("The activity {arn} does not exist.")).into());
        }
        let mut context = self.context();
        if has_token(&task.resource) {
            context.task_token = Some(self.tick.task_token.clone());
        }
        let raw = std::mem::take(&mut self.branch.data);
        let made = self.make_request(task, &raw, &context);
        self.branch.data = raw;
        let (request, role_arn) = made?;
        self.record_scheduled(&request, role_arn);
        self.wait_for_task(&request);
        self.effect(Effect::ScheduleTask(request));
        Ok(())
    }

    fn make_request(
        &mut self,
        task: &Task,
        raw: &Value,
        context: &Context<'_>,
    ) -> Result<(TaskRequest, Option<String>), Problem> {
        let flow = &self.state().flow;
        let effective = flow.effective_input(Scope::new(raw, context))?;
        flow.note_input(&effective, &mut self.steps);
        let scope = Scope::new(&effective, context);
        let timeout_seconds = seconds(task.timeout.as_ref(), "TimeoutSecondsPath", scope, &mut self.random)?;
        let heartbeat_seconds =
            seconds(task.heartbeat.as_ref(), "HeartbeatSecondsPath", scope, &mut self.random)?;
        let credentials = match &task.credentials {
            None => None,
            Some(template) => template.evaluate(scope, &mut self.random)?.get("RoleArn").cloned(),
        };
        let role_arn = credentials.and_then(|role| role.as_str().map(str::to_owned));
        let parameters = flow.arguments(effective, context, &mut self.random)?.into_owned();
        flow.note_arguments(&parameters, &mut self.steps);
        let request = TaskRequest {
            task: self.seq(),
            resource: task.resource.clone(),
            parameters,
            timeout_seconds,
            heartbeat_seconds,
            scheduled_at: Some(self.tick.now),
        };
        self.bounded(&request.parameters, &limit_name(&task.resource, &self.state().name))?;
        Ok((request, role_arn))
    }

    fn record_scheduled(&mut self, request: &TaskRequest, role_arn: Option<String>) {
        let parameters = request.parameters.to_string();
        match &request.resource {
            Resource::Activity { arn } => {
                self.record(EventKind::ActivityScheduled {
                    resource: arn.clone(),
                    input: parameters,
                    timeout_in_seconds: request.timeout_seconds,
                    heartbeat_in_seconds: request.heartbeat_seconds,
                });
            }
            Resource::Function { arn } => {
                self.record(EventKind::LambdaFunctionScheduled {
                    resource: arn.clone(),
                    input: parameters,
                    timeout_in_seconds: request.timeout_seconds,
                    role_arn,
                });
                self.record(EventKind::LambdaFunctionStarted);
            }
            Resource::Service(service) => {
                let task = task_name(service);
                self.record(EventKind::TaskScheduled(TaskScheduled {
                    task: task.clone(),
                    region: self.region(),
                    parameters,
                    timeout_in_seconds: request.timeout_seconds,
                    heartbeat_in_seconds: request.heartbeat_seconds,
                    role_arn,
                }));
                self.record(EventKind::TaskStarted(task));
            }
        }
    }

    /// The region in the execution's ARN.
    fn region(&self) -> String {
        self.run.execution.id.split(':').nth(3).unwrap_or_default().to_owned()
    }

    fn wait_for_task(&mut self, request: &TaskRequest) {
        let is_activity = matches!(request.resource, Resource::Activity { .. });
        // A worker, and a function with a task token, can beat only once they have the token.
        let beats_later = is_activity || is_token_function(&request.resource);
        let attempt = TaskAttempt {
            task: request.task,
            stage: if is_activity { Stage::Scheduled } else { Stage::Started },
            timeout_seconds: request.timeout_seconds,
            heartbeat_seconds: request.heartbeat_seconds,
            times_out_at: self.in_seconds(request.timeout_seconds),
            heartbeat_due_at: if beats_later { None } else { self.in_seconds(request.heartbeat_seconds) },
            scheduled_at: request.scheduled_at,
            started_at: None,
            early: None,
        };
        self.wait_for(attempt);
    }

    fn in_seconds(&self, seconds: Option<u32>) -> Option<Timestamp> {
        let limited = seconds.filter(|seconds| *seconds < TIMEOUT_SECONDS_MAX);
        limited.map(|seconds| self.tick.now.plus_seconds(i64::from(seconds)))
    }

    fn wait_for(&mut self, attempt: TaskAttempt) {
        if let Some(at) = attempt.next_deadline() {
            self.effect(Effect::StartTimer { at });
        }
        self.branch.waiting = Waiting::Task(attempt);
    }

    /// A worker has taken the activity task: its clocks start.
    pub(super) fn activity_started(
        &mut self,
        mut attempt: TaskAttempt,
        worker_name: Option<String>,
    ) -> Result<(), StaleEvent> {
        if attempt.stage != Stage::Scheduled {
            return Err(StaleEvent);
        }
        self.record(EventKind::ActivityStarted { worker_name });
        attempt.stage = Stage::Started;
        attempt.started_at = Some(self.tick.now);
        attempt.times_out_at = self.in_seconds(attempt.timeout_seconds);
        attempt.heartbeat_due_at = self.in_seconds(attempt.heartbeat_seconds);
        self.wait_for(attempt);
        Ok(())
    }

    /// The call was accepted; the end comes later, or came already.
    pub(super) fn task_submitted(
        &mut self,
        mut attempt: TaskAttempt,
        output: Value,
    ) -> Result<(), StaleEvent> {
        let service = match self.resource() {
            Some(Resource::Service(service)) if attempt.stage == Stage::Started => service,
            Some(Resource::Service(_) | Resource::Activity { .. } | Resource::Function { .. }) | None => {
                return Err(StaleEvent);
            }
        };
        let task = task_name(service);
        let limit = limit_name(&Resource::Service(service.clone()), &self.state().name);
        match self.bounded(&output, &limit) {
            Err(failure) => self.task_failed(failure),
            Ok(text) => {
                self.record(EventKind::TaskSubmitted { task, output: text });
                attempt.stage = Stage::Submitted;
                if attempt.heartbeat_due_at.is_none() {
                    attempt.heartbeat_due_at = self.in_seconds(attempt.heartbeat_seconds);
                }
                match attempt.early.take() {
                    Some(answer) => self.task_answered(answer),
                    None => self.wait_for(attempt),
                }
            }
        }
        Ok(())
    }

    /// The call ended, or somebody with the token says so.
    pub(super) fn task_ended(
        &mut self,
        mut attempt: TaskAttempt,
        answer: Answer,
        source: Source,
    ) -> Result<(), StaleEvent> {
        match (attempt.stage, source) {
            // Nobody has the token of an activity task before it is taken.
            (Stage::Scheduled, Source::Token) => Err(StaleEvent),
            // The answer was quicker than the record of the call: kept until that is there.
            (Stage::Started, Source::Token | Source::SubmittedCall) if self.is_submitted_task() => {
                if attempt.early.is_some() {
                    return Err(StaleEvent);
                }
                attempt.early = Some(answer);
                self.wait_for(attempt);
                Ok(())
            }
            (Stage::Scheduled | Stage::Started | Stage::Submitted, Source::Call | Source::SubmittedCall)
            | (Stage::Started | Stage::Submitted, Source::Token) => {
                self.task_answered(answer);
                Ok(())
            }
        }
    }

    /// A worker lives: its clock starts again.
    pub(super) fn heartbeat(&mut self, mut attempt: TaskAttempt) -> Result<(), StaleEvent> {
        if attempt.stage == Stage::Scheduled {
            return Err(StaleEvent);
        }
        if attempt.heartbeat_due_at.is_some() {
            attempt.heartbeat_due_at = self.in_seconds(attempt.heartbeat_seconds);
        }
        self.wait_for(attempt);
        Ok(())
    }

    /// The task's timer: its time is up, or its worker is silent.
    pub(super) fn task_timer_fired(&mut self, attempt: TaskAttempt) -> Result<(), StaleEvent> {
        let is_due = |deadline: Option<Timestamp>| deadline.is_some_and(|at| at <= self.tick.now);
        let error = if is_due(attempt.times_out_at) {
            names::TIMEOUT
        } else if is_due(attempt.heartbeat_due_at) {
            names::HEARTBEAT_TIMEOUT
        } else {
            return Err(StaleEvent);
        };
        let failure = Failure::timeout();
        let kind = match self.resource() {
            Some(Resource::Activity { .. }) => EventKind::ActivityTimedOut(failure),
            Some(Resource::Function { .. }) => EventKind::LambdaFunctionTimedOut(failure),
            Some(Resource::Service(service)) => EventKind::TaskTimedOut { task: task_name(service), failure },
            None => return Err(StaleEvent),
        };
        self.record(kind);
        self.handle_timeout(error);
        Ok(())
    }

    pub(super) fn task_answered(&mut self, answer: Answer) {
        match answer {
            Answer::Failed(failure) => self.task_failed(failure),
            Answer::Succeeded(output) => {
                let Some(resource) = self.resource() else { return };
                match self.bounded(&output, &limit_name(resource, &self.state().name)) {
                    Err(failure) => self.task_failed(failure),
                    Ok(text) => self.task_succeeded(resource, output, text),
                }
            }
        }
    }

    fn task_succeeded(&mut self, resource: &Resource, output: Value, text: String) {
        self.steps.note(Step::Result, &output);
        let last = self.record(match resource {
            Resource::Activity { .. } => EventKind::ActivitySucceeded { output: text },
            Resource::Function { .. } => EventKind::LambdaFunctionSucceeded { output: text },
            Resource::Service(service) => EventKind::TaskSucceeded { task: task_name(service), output: text },
        });
        if let Err(problem) = self.leave_task(output, last) {
            self.fail_in_state(problem);
        }
    }

    fn leave_task(&mut self, result: Value, after: EventRef) -> Result<(), Problem> {
        let StateKind::Task(task) = &self.state().kind else { return Ok(()) };
        let raw = self.take_raw_input();
        self.exit_with_result(raw, result, task.next, Some(after))
    }

    fn task_failed(&mut self, failure: Failure) {
        let kind = match self.resource() {
            Some(Resource::Activity { .. }) => EventKind::ActivityFailed(failure.clone()),
            Some(Resource::Function { .. }) => EventKind::LambdaFunctionFailed(failure.clone()),
            Some(Resource::Service(service)) => {
                EventKind::TaskFailed { task: task_name(service), failure: failure.clone() }
            }
            None => return,
        };
        self.record(kind);
        self.handle(BranchFailure { failure, state: None });
    }

    fn resource(&self) -> Option<&'a Resource> {
        match &self.state().kind {
            StateKind::Task(task) => Some(&task.resource),
            StateKind::Pass(_)
            | StateKind::Choice(_)
            | StateKind::Wait(_)
            | StateKind::Succeed
            | StateKind::Fail(_)
            | StateKind::Parallel(_)
            | StateKind::Map(_) => None,
        }
    }

    fn is_submitted_task(&self) -> bool {
        matches!(self.resource(), Some(Resource::Service(service)) if service.pattern.is_submitted())
    }
}

/// A job has one, too: whoever gets it may end the task before the job does (recorded on AWS, 2024).
fn has_token(resource: &Resource) -> bool {
    matches!(resource, Resource::Service(service) if service.pattern.is_submitted())
}

fn is_token_function(resource: &Resource) -> bool {
    matches!(resource, Resource::Service(service)
        if service.pattern == Pattern::WaitForTaskToken && service.service == "lambda")
}

fn task_name(service: &ServiceResource) -> TaskName {
    TaskName { resource_type: service.service.clone(), resource: service.resource() }
}

/// How a payload limit names the task: its service, its function, or its state.
fn limit_name(resource: &Resource, state: &str) -> String {
    match resource {
        Resource::Activity { .. } => state.to_owned(),
        Resource::Function { arn } => arn.clone(),
        Resource::Service(service) => service.service.clone(),
    }
}

fn seconds(
    quantity: Option<&Quantity<u32>>,
    field: &str,
    scope: Scope<'_>,
    random: &mut Random,
) -> Result<Option<u32>, Problem> {
    let path = match quantity {
        None => return Ok(None),
        Some(Quantity::Literal(seconds)) => return Ok(Some(*seconds)),
        Some(Quantity::Path(path)) => path,
        Some(Quantity::Expression(expression)) => {
            let value = expression.evaluate(scope, random)?;
            if !value.is_number() {
                return Err(expression.unexpected("number", &value));
            }
            return positive(&value).map(Some).ok_or_else(|| {
                let name = expression.field();
                Problem::evaluation(
                    format!("The {name} field must be a positive integer: {value}"),
                    Some(name),
                )
            });
        }
    };
    let value = scope.require(path.path())?;
    positive(&value).map(Some).ok_or_else(|| {
        Failure::runtime(format!(
            "The {field} parameter does not reference a positive integer: {} == {value}",
            path.text()
        ))
        .into()
    })
}

fn positive(value: &Value) -> Option<u32> {
    value.as_u64().filter(|seconds| *seconds > 0).and_then(|seconds| u32::try_from(seconds).ok())
}
