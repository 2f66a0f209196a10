//! The fields of a Task.

use super::fields::Object;
use super::machine::Surroundings;
use super::resource::{self, ResourceError};
use super::{Checker, WorkflowType};
use crate::data::expression::Uses;
use crate::data::template::Template;
use crate::limits::TIMEOUT_SECONDS_MAX;
use crate::program::{Pattern, Quantity, Resource, Task};

impl<'a> Checker<'a> {
    pub(super) fn task(&mut self, object: Object<'a, '_>, around: &Surroundings<'a, '_>) -> Option<Task> {
        let resource = self.resource(object, around.workflow);
        let credentials = self.credentials(object, resource.as_ref());
        let timeout = self.quantity(object, ["TimeoutSeconds", "TimeoutSecondsPath"], 1, TIMEOUT_SECONDS_MAX);
        let heartbeat =
            self.quantity(object, ["HeartbeatSeconds", "HeartbeatSecondsPath"], 1, TIMEOUT_SECONDS_MAX);
        if let (Some(Quantity::Literal(timeout)), Some(Quantity::Literal(heartbeat))) = (&timeout, &heartbeat)
            && heartbeat >= timeout
        {
            let message = "HeartbeatSeconds must be smaller than TimeoutSeconds";
            self.report.error(&object.place.field("HeartbeatSeconds"), message);
        }
        let handling = self.error_handling(object, around);
        let next = self.next(object, around);
        Some(Task { resource: resource?, credentials, timeout, heartbeat, handling, next: next? })
    }

    fn resource(&mut self, object: Object<'a, '_>, workflow: WorkflowType) -> Option<Resource> {
        let text = self.string(object, "Resource")?;
        let place = object.place.field("Resource");
        let resource = match resource::parse(text) {
            Ok(resource) => resource,
            Err(ResourceError::NotAnArn) => {
                self.report.error(&place, "Value is not a valid resource ARN");
                return None;
            }
            Err(ResourceError::NotRecognized) => {
                let message = format!(
                    "The resource provided {text} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region."
                );
                self.report.error(&place, message);
                return None;
            }
        };
        if let Some(message) = not_in_express(&resource).filter(|_| workflow == WorkflowType::Express) {
            self.report.error(&place, message);
        }
        Some(resource)
    }

    /// `Credentials`: a template with the role to assume. Activities run with the credentials of their workers.
    fn credentials(&mut self, object: Object<'a, '_>, resource: Option<&Resource>) -> Option<Template> {
        let fields = self.object(object, "Credentials")?;
        let place = object.place.field("Credentials");
        if matches!(resource, Some(Resource::Activity { .. })) {
            self.report.error(object.place, "The field 'Credentials' is not supported for activities");
        }
        let credentials = Object { fields, place: &place, language: object.language };
        let given = credentials.has("RoleArn") || credentials.has("RoleArn.$") && !object.is_jsonata();
        if !given {
            self.report.error(&place, "The field 'RoleArn' is required but was missing");
        }
        self.string(credentials, "RoleArn");
        self.payload(object, "Credentials", Uses::Input)
    }
}

/// What AWS says to a resource that Express state machines do not have. One text ends in a blank, as
/// recorded.
fn not_in_express(resource: &Resource) -> Option<&'static str> {
    match resource {
        Resource::Activity { .. } => Some("Express state machine does not support Activity ARN"),
        Resource::Function { .. } => None,
        Resource::Service(service) => match service.pattern {
            Pattern::RequestResponse => None,
            Pattern::Sync | Pattern::Sync2 => {
                Some("Express state machine does not support '.sync' service integration")
            }
            Pattern::WaitForTaskToken => {
                Some("Express state machine does not support '.waitForTaskToken' service integration ")
            }
        },
    }
}
