//! The API for tasks (`aws-sdk:sfn:…`): what a client is answered, without HTTP between.

use std::sync::Arc;

use async_trait::async_trait;
use connectors::sfn::{Api, Refused};
use serde_json::Value;

use super::errors::ApiError;
use super::hand_over::Reply;
use super::parameters::Parameters;
use super::{act, protocol};
use crate::services::Core;
use crate::services::late_core::{LateCore, STOPPING};

/// The API of this engine.
pub struct OwnApi {
    core: Arc<LateCore>,
}

impl OwnApi {
    /// Of this engine.
    pub fn new(core: Arc<LateCore>) -> Self {
        OwnApi { core }
    }
}

#[async_trait]
impl Api for OwnApi {
    async fn call(&self, action: &str, parameters: Value) -> Result<Value, Refused> {
        let answered = match self.core.get() {
            Some(core) => answer(core, action, parameters).await,
            None => Err(ApiError::throttled(STOPPING)),
        };
        answered.map_err(|error| Refused {
            code: error.code().to_owned(),
            message: error.message().to_owned(),
            status: error.status().as_u16(),
        })
    }
}

async fn answer(core: Arc<Core>, name: &str, parameters: Value) -> Result<Value, ApiError> {
    let action = protocol::named(name, name)?;
    let Value::Object(members) = parameters else {
        return Err(ApiError::serialization("The parameters must be a JSON object"));
    };
    match act(core, action, Parameters::check(action.members(), members)?).await? {
        Reply::Json(answer) => Ok(answer),
        Reply::Task(answer, hand_over) => {
            // If the broker does not hear of it, another poll gets the same task, as from a lost answer.
            let _ = hand_over.delivered().await;
            Ok(answer)
        }
    }
}
