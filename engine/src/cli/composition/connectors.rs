//! What Task states can call: the connectors, and what each needs of the engine.

use std::io;
use std::sync::Arc;

use connectors::Connector;
use connectors::events::EventsConnector;
use connectors::http::HttpConnector;
use connectors::lambda::LambdaConnector;
use connectors::sfn::SfnConnector;
use connectors::sns::SnsConnector;
use connectors::sqs::SqsConnector;
use connectors::states::StatesConnector;

use super::connections::ConfiguredConnections;
use crate::api::from_tasks::OwnApi;
use crate::config::Config;
use crate::ports::broker::Prefix;
use crate::services::bus::EngineBus;
use crate::services::child_executions::ChildExecutions;
use crate::services::late_core::LateCore;
use crate::services::messaging::Messaging;

/// All connectors. What they ask of the engine they ask of `core`, once that is attached.
pub fn all(config: &Config, core: &Arc<LateCore>) -> io::Result<Vec<Arc<dyn Connector>>> {
    let messaging = Arc::new(Messaging::new(core.clone(), Prefix::new(config.broker.prefix.clone())));
    let connections = Arc::new(ConfiguredConnections::new(config));
    Ok(vec![
        Arc::new(LambdaConnector::new(config.functions.clone())?),
        Arc::new(StatesConnector::new(Arc::new(ChildExecutions::new(core.clone())))),
        Arc::new(SqsConnector::new(messaging.clone())),
        Arc::new(SnsConnector::new(messaging)),
        Arc::new(EventsConnector::new(Arc::new(EngineBus::new(core.clone())))),
        Arc::new(HttpConnector::new(config.http.clone(), connections)?),
        Arc::new(SfnConnector::new(Arc::new(OwnApi::new(core.clone())))),
    ])
}
